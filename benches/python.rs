//! Compares the installation of Python packages with uv and pip, as ratios within one run, for the set of `tests/python/many` from the index in use: `cargo bench --bench python`.
//! It needs a store in which the set was set up (COTTER_STORE, or the default), because the interpreter and uv come from it.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "the rules are the program's"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const REPO: &str = env!("CARGO_MANIFEST_DIR");
const ROUNDS: usize = 5;

fn main() {
    let scratch = std::env::temp_dir().join(format!("cotter-bench-python-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).unwrap();
    let set = Path::new(REPO).join("tests/python/many");
    let tree = |name: &str| -> PathBuf {
        let output = Command::new(env!("CARGO_BIN_EXE_cotter"))
            .args(["path", name])
            .current_dir(&set)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().into()
    };
    let (python, uv) = (tree("python"), tree("uv").join("bin/uv"));
    let requirements = set.join("requirements-many.txt");

    // This store contains only the interpreter and uv, because only the packages are measured.
    let store = scratch.join("store");
    let fresh_store = || {
        remove(&store);
        for name in ["python", "uv"] {
            let from = tree(name);
            std::fs::create_dir_all(store.join("store")).unwrap();
            run(Command::new("cp").arg("-a").arg(&from).arg(store.join("store")));
        }
    };
    let cotter = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cotter"));
        command
            .args(["--quiet", "--locked"])
            .args(arguments)
            .current_dir(&set)
            .env("COTTER_STORE", &store);
        run(&mut command)
    };
    let venv = scratch.join("cotter-venv");
    let place = venv.display().to_string();
    let own = || cotter(&["setup"]) + cotter(&["venv", "many", &place]);

    let cache = scratch.join("uv-cache");
    let by_uv = || {
        let dir = scratch.join("uv-venv");
        remove(&dir);
        let mut make = Command::new(&uv);
        make.args(["venv", "--quiet", "--no-config", "--python"])
            .arg(python.join("bin/python3"))
            .arg(&dir)
            .env("UV_CACHE_DIR", &cache);
        let mut sync = Command::new(&uv);
        sync.args(["pip", "sync", "--quiet", "--no-config", "--require-hashes", "--python"])
            .arg(dir.join("bin/python"))
            .arg(&requirements)
            .env("UV_CACHE_DIR", &cache);
        run(&mut make) + run(&mut sync)
    };
    let by_pip = || {
        let dir = scratch.join("pip-venv");
        remove(&dir);
        let mut make = Command::new(python.join("bin/python3"));
        make.args(["-m", "venv"]).arg(&dir);
        let mut install = Command::new(dir.join("bin/pip"));
        install
            .args([
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-cache-dir",
                "--no-deps",
                "--require-hashes",
                "-r",
            ])
            .arg(&requirements)
            .env_remove("PIP_FIND_LINKS");
        run(&mut make) + run(&mut install)
    };

    let (mut cold, mut cold_uv) = (vec![], vec![]);
    for _ in 0..3 {
        fresh_store();
        cold.push(own());
        remove(&cache);
        cold_uv.push(by_uv());
    }
    let (mut warm, mut warm_uv) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        remove(&venv);
        warm.push(own());
        warm_uv.push(by_uv());
    }
    let pip = by_pip();
    let best = |times: &[Duration]| times.iter().min().unwrap().as_secs_f64();
    let row = |what: &str, time: f64, reference: f64| {
        println!("  {what:<64} {:>8.0} ms   {:>6.2}", time * 1e3, time / reference)
    };
    println!("nothing fetched before:");
    row("cotter setup, cotter venv", best(&cold), best(&cold));
    row("uv venv, uv pip sync --require-hashes", best(&cold_uv), best(&cold));
    row("python -m venv, pip install --require-hashes", pip.as_secs_f64(), best(&cold));
    println!("from a warm store and a warm cache:");
    row("cotter setup, cotter venv", best(&warm), best(&warm));
    row("uv venv, uv pip sync --require-hashes", best(&warm_uv), best(&warm));
    changed(&scratch, &tree, &row);
    remove(&scratch);
}

/// The packages of the set that change: each must be older than it is.
const CHANGED: [&str; 20] = [
    "bcrypt",
    "certifi",
    "charset-normalizer",
    "greenlet",
    "gunicorn",
    "idna",
    "lxml",
    "msgpack",
    "orjson",
    "pillow",
    "psutil",
    "pygments",
    "pyyaml",
    "pyzmq",
    "regex",
    "rich",
    "sqlalchemy",
    "tornado",
    "uvicorn",
    "zstandard",
];

/// Compares what a developer waits for after a change of the requirements, from new requirements to an environment: 20 packages of the set become older.
/// Both have fetched the packages that stay.
fn changed(scratch: &Path, tree: &dyn Fn(&str) -> PathBuf, row: &dyn Fn(&str, f64, f64)) {
    let set = Path::new(REPO).join("tests/python/many");
    let inputs = std::fs::read_to_string(set.join("requirements.in")).unwrap();
    let locked = std::fs::read_to_string(set.join("requirements-many.txt")).unwrap();
    let older: Vec<String> = CHANGED
        .iter()
        .map(|name| {
            let pin = locked.lines().find_map(|line| line.strip_prefix(&format!("{name}==")));
            let version = pin.unwrap_or_else(|| panic!("{name} is in the set"));
            format!("{name}<{}", version.split_whitespace().next().unwrap())
        })
        .collect();
    let texts = [inputs.clone(), format!("{inputs}\n{}\n", older.join("\n"))];
    let (own, store) = (scratch.join("own"), scratch.join("own-store"));
    let (theirs, cache) = (scratch.join("theirs"), scratch.join("their-cache"));
    let (python, uv) = (tree("python").join("bin/python3"), tree("uv").join("bin/uv"));
    let write = |dir: &Path, name: &str, text: &str| {
        std::fs::create_dir_all(dir).unwrap();
        std::fs::write(dir.join(name), text).unwrap();
    };
    let cotter = |text: &str| {
        write(&own, "requirements.in", text);
        let mut all = Duration::ZERO;
        for arguments in [&["setup"][..], &["venv", "many"]] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_cotter"));
            command.args(["--quiet"]).args(arguments).current_dir(&own);
            all += run(command.env("COTTER_STORE", &store));
        }
        all
    };
    let by_uv = |text: &str| {
        let list: Vec<String> =
            text.lines().filter(|l| !l.is_empty()).map(|l| format!("{l:?}")).collect();
        let head = "[project]\nname = \"many\"\nversion = \"1\"\nrequires-python = \"==3.11.*\"\n";
        write(&theirs, "pyproject.toml", &format!("{head}dependencies = [{}]\n", list.join(", ")));
        let mut sync = Command::new(&uv);
        sync.args(["sync", "--quiet", "--python"]).arg(&python).current_dir(&theirs);
        run(sync.env("UV_CACHE_DIR", &cache))
    };
    let (mut ours, mut uvs) = (vec![], vec![]);
    for _ in 0..3 {
        for dir in [&own, &theirs, &store, &cache] {
            remove(dir);
        }
        for name in ["toolchains.toml", "toolchains.lock"] {
            write(&own, name, &std::fs::read_to_string(set.join(name)).unwrap());
        }
        cotter(&texts[0]);
        by_uv(&texts[0]);
        ours.push(cotter(&texts[1]).as_secs_f64());
        uvs.push(by_uv(&texts[1]).as_secs_f64());
    }
    let best = |times: &[f64]| times.iter().copied().fold(f64::INFINITY, f64::min);
    println!("20 packages of the set have changed, from the requirements to the environment:");
    row("cotter setup, cotter venv", best(&ours), best(&ours));
    row("uv sync (goal: over 1)", best(&uvs), best(&ours));
}

fn run(command: &mut Command) -> Duration {
    let start = Instant::now();
    let output = command.stdin(Stdio::null()).output().unwrap();
    let time = start.elapsed();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    time
}

fn remove(dir: &Path) {
    if dir.exists() {
        run(Command::new("chmod").args(["-R", "u+w"]).arg(dir));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
