//! Compares cotter with its peers, as ratios within one run, because a single number means little on a noisy machine: `cargo bench --bench peers`.
//! Everything is written below TMPDIR. On a tmpfs, the disk does not disturb the results.
//!
//! The results are printed as a table. Slowness is not a failure.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "the rules are the program's"
)]

mod support;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cotter::internals::Lockfile;
use cotter::internals::{Digest, Platform};
use support::{peak_memory, remove, row, run};

const REPO: &str = env!("CARGO_MANIFEST_DIR");
const COTTER: &str = env!("CARGO_BIN_EXE_cotter");
const ROUNDS: usize = 5;

fn main() {
    if let Some(scratch) = std::env::args_os().skip_while(|a| a != "warm").nth(1) {
        return warm(Path::new(&scratch));
    }
    let scratch = std::env::temp_dir().join(format!("cotter-bench-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).unwrap();
    cold_setup(&scratch);
    compilers(&scratch);
    // This process is large now, because it served the packages. Starting a program would copy its tables of pages, which takes longer than what is measured.
    let own = std::env::current_exe().unwrap();
    assert!(Command::new(own).arg("warm").arg(&scratch).status().unwrap().success());
    remove(&scratch);
}

/// Returns the shortest time of several runs, because noise only adds time.
fn best(times: &[Duration]) -> Duration {
    *times.iter().min().unwrap()
}

fn timed(command: &mut Command) -> Duration {
    let start = Instant::now();
    run(command);
    start.elapsed()
}

/// Compares a cold setup of the compiler's tree from a mirror on loopback with dpkg-deb and with the decoder alone.
fn cold_setup(scratch: &Path) {
    // The project pins only the compiler, and the store has the downloads.
    let project = scratch.join("gcc");
    let part =
        |name| std::fs::read_to_string(format!("{REPO}/templates/init/{name}.toml")).unwrap();
    let manifest = (part("head") + &part("gcc"))
        .replace("@platform@", "x86_64-linux")
        // The lock of the repository has the suite without its updates.
        .replace("suite = [\"bookworm\", \"bookworm-updates\", { archive = \"debian-security\", suite = \"bookworm-security\" }]", "suite = \"bookworm\"");
    std::fs::create_dir_all(&project).unwrap();
    std::fs::write(project.join("toolchains.toml"), manifest).unwrap();
    let text = std::fs::read_to_string(format!("{REPO}/toolchains.lock")).unwrap();
    let block = text
        .split("\n[[tree]]")
        .find(|b| b.contains("name = \"gcc\"") && b.contains("\"x86_64-linux\""))
        .unwrap()
        .to_owned();
    std::fs::write(project.join("toolchains.lock"), format!("version = 2\n\n[[tree]]{block}"))
        .unwrap();
    let filled = scratch.join("filled");
    let setup = |store: &Path| {
        let mut command = Command::new(COTTER);
        command
            .args(["setup", "--locked", "--quiet"])
            .current_dir(&project)
            .env("COTTER_STORE", store);
        command
    };
    timed(&mut setup(&filled));
    let lock =
        Lockfile::parse(&std::fs::read_to_string(project.join("toolchains.lock")).unwrap(), "lock")
            .unwrap();
    let plan = &lock.get(&"gcc".parse().unwrap(), Platform::X86_64Linux).unwrap().plan;
    let mut served = HashMap::new();
    let debs = scratch.join("debs");
    std::fs::create_dir_all(&debs).unwrap();
    let mut files = vec![];
    for input in &plan.inputs {
        let bytes = std::fs::read(filled.join("inputs").join(input.sha256.hex())).unwrap();
        served.insert(format!("/debian/{}", input.locations[0].path()), bytes.clone());
        let path = debs.join(input.file_name());
        std::fs::write(&path, &bytes).unwrap();
        files.push(path);
    }
    let mirror = serve(served);
    let nar = lock.trees.values().next().unwrap().output.nar_size;

    let mut times: [Vec<Duration>; 4] = Default::default();
    let mut peak = 0;
    for round in 0..ROUNDS {
        // This round must not pay for what earlier rounds wrote and deleted.
        timed(&mut Command::new("sync"));
        let fresh = |name: &str| {
            let dir = scratch.join(format!("{name}-{round}"));
            std::fs::create_dir_all(&dir).unwrap();
            dir
        };
        let store = fresh("store");
        let start = Instant::now();
        let mut child = setup(&store).env("COTTER_MIRROR_DEBIAN", &mirror).spawn().unwrap();
        peak = peak.max(peak_memory(&mut child));
        times[0].push(start.elapsed());
        let dir = fresh("dpkg");
        let start = Instant::now();
        for file in &files {
            timed(Command::new("dpkg-deb").arg("-x").arg(file).arg(&dir));
        }
        times[1].push(start.elapsed());
        let dir = fresh("xargs");
        let list = scratch.join("list");
        std::fs::write(
            &list,
            files.iter().map(|f| format!("{}\n", f.display())).collect::<String>(),
        )
        .unwrap();
        let mut command = Command::new("xargs");
        command.args(["-a"]).arg(&list).args(["-P2", "-I{}", "dpkg-deb", "-x", "{}"]).arg(&dir);
        times[2].push(timed(&mut command));
        times[3].push(decode_limit(&files, nar));
        for name in ["store", "dpkg", "xargs"] {
            let dir = scratch.join(format!("{name}-{round}"));
            let _ = Command::new("chmod").args(["-R", "u+w"]).arg(&dir).status();
            std::fs::remove_dir_all(&dir).unwrap();
        }
    }
    let mine = best(&times[0]);
    println!(
        "cold setup of gcc from loopback: {} inputs, {:.0} MB to fetch; best of {ROUNDS}",
        files.len(),
        plan.input_bytes() as f64 / 1e6
    );
    row("cotter setup", mine, mine);
    row("dpkg-deb -x one by one (goal: 1.8 or more)", best(&times[1]), mine);
    row("xargs -P2 dpkg-deb -x (goal: over 1)", best(&times[2]), mine);
    row("decode on two threads, hash inputs and output (goal: 0.87)", best(&times[3]), mine);
    println!("  peak memory of cotter: {:.0} MB (goal: under 150)", peak as f64 / 1e3);
}

/// Compares cold setups of the compilers of `examples/cpp` by the bytes that they fetch and by the bytes of their trees, because a larger compiler may take longer.
fn compilers(scratch: &Path) {
    let project = scratch.join("compilers");
    std::fs::create_dir_all(&project).unwrap();
    for file in ["toolchains.toml", "toolchains.lock"] {
        std::fs::copy(format!("{REPO}/examples/cpp/{file}"), project.join(file)).unwrap();
    }
    let setup = |name: &str, store: &Path| {
        let mut command = Command::new(COTTER);
        command
            .args(["setup", "--locked", "--quiet", "--platform", "x86_64-linux", name])
            .current_dir(&project)
            .env("COTTER_STORE", store);
        command
    };
    let names = ["gcc", "gcc-14", "llvm"];
    let filled = scratch.join("filled");
    let text = std::fs::read_to_string(project.join("toolchains.lock")).unwrap();
    let lock = Lockfile::parse(&text, "lock").unwrap();
    let mut served = HashMap::new();
    for name in names {
        timed(&mut setup(name, &filled));
        let plan = &lock.get(&name.parse().unwrap(), Platform::X86_64Linux).unwrap().plan;
        for input in &plan.inputs {
            let bytes = std::fs::read(filled.join("inputs").join(input.sha256.hex())).unwrap();
            served.insert(format!("/debian/{}", input.locations[0].path()), bytes);
        }
    }
    let mirror = serve(served);
    let mut times = [(); 3].map(|()| vec![]);
    for round in 0..ROUNDS {
        for (name, times) in names.iter().zip(&mut times) {
            timed(&mut Command::new("sync"));
            let store = scratch.join(format!("{name}-{round}"));
            times.push(timed(setup(name, &store).env("COTTER_MIRROR_DEBIAN", &mirror)));
            remove(&store);
        }
    }
    println!("cold setup of compilers from loopback; best of {ROUNDS}");
    let per = |name: &str, time: Duration| {
        let tree = lock.get(&name.parse().unwrap(), Platform::X86_64Linux).unwrap();
        let [input, output] =
            [tree.plan.input_bytes(), tree.output.nar_size].map(|n| n as f64 / 1e6);
        let ms = time.as_secs_f64() * 1e3;
        (input, output, ms / input, ms / output)
    };
    let (_, _, by_input, by_output) = per(names[0], best(&times[0]));
    for (name, times) in names.iter().zip(&times) {
        let (input, output, a, b) = per(name, best(times));
        println!(
            "  {name:<8} {:>8.0} ms for {input:>4.0} MB that become {output:>4.0} MB: {a:>5.1} ms and {b:>4.2} ms for a MB, {:>5.2} and {:>5.2} of gcc (goal: 1)",
            best(times).as_secs_f64() * 1e3,
            a / by_input,
            b / by_output
        );
    }
}

/// Does the least that any program must do: it decodes every package and hashes the input and the output. It uses two threads and begins with the largest package.
fn decode_limit(files: &[PathBuf], nar: u64) -> Duration {
    let mut queue: Vec<(u64, PathBuf)> =
        files.iter().map(|f| (f.metadata().unwrap().len(), f.clone())).collect();
    queue.sort();
    let queue = Mutex::new(queue);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut buffer = vec![0; 128 * 1024];
                loop {
                    let Some((_, file)) = queue.lock().unwrap().pop() else { break };
                    let bytes = std::fs::read(&file).unwrap();
                    std::hint::black_box(Digest::of(&bytes));
                    let at = bytes
                        .windows(6)
                        .rposition(|w| w == [0xfd, b'7', b'z', b'X', b'Z', 0])
                        .unwrap();
                    let mut decoder = liblzma::read::XzDecoder::new(&bytes[at..]);
                    while decoder.read(&mut buffer).unwrap() > 0 {}
                }
            });
        }
    });
    // The hash of the tree is a single stream.
    let zeros = vec![0; 1 << 20];
    let mut hasher = cotter::internals::Hasher::default();
    for _ in 0..nar >> 20 {
        hasher.update(&zeros);
    }
    std::hint::black_box(hasher.finish());
    start.elapsed()
}

/// Measures the costs that occur again and again: a setup with nothing to do, and the start of a program through `exec`.
fn warm(scratch: &Path) {
    let project = scratch.join("gcc");
    let store = scratch.join("filled");
    let cotter = |args: &[&str]| {
        let mut command = Command::new(COTTER);
        command.args(args).current_dir(&project).env("COTTER_STORE", &store);
        command
    };
    timed(&mut cotter(&["setup"]));
    let many = |make: &mut dyn FnMut() -> Command| -> Duration {
        let mut times: Vec<Duration> = (0..200).map(|_| timed(&mut make())).collect();
        times.sort();
        times[times.len() / 2]
    };
    let gcc = String::from_utf8(cotter(&["path", "gcc"]).output().unwrap().stdout)
        .unwrap()
        .trim()
        .to_owned();
    let direct = many(&mut || Command::new("/bin/true"));
    let through = many(&mut || cotter(&["exec", "gcc", "--", "/bin/true"]));
    let nothing = many(&mut || cotter(&["setup", "--quiet"]));
    println!("nothing to do; median of 200");
    row("cotter setup (goal: under 1.2 ms)", nothing, nothing);
    if let Some(uv) = uv_project(scratch) {
        add(&cotter, &uv);
        let sync = many(&mut || {
            let mut command = Command::new(&uv.0);
            command.args(["sync", "--quiet", "--offline"]).current_dir(&uv.1);
            command
        });
        row("uv sync (goal: over 1)", sync, nothing);
    }
    hook(scratch, &cotter, &many);
    println!("starting a program; median of 200");
    row("directly", direct, direct);
    row("cotter exec (goal: under 0.5 ms more)", through, direct);
    println!("  more: {:.2} ms", (through.as_secs_f64() - direct.as_secs_f64()) * 1e3);
    // Compares the launcher with the same program started by the loader.
    let at = |p: &str| format!("{gcc}/{p}");
    let real = std::fs::read_dir(at("usr/bin"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.to_string_lossy().ends_with("-size.real"))
        .unwrap();
    let plain = many(&mut || {
        let mut command = Command::new(at("lib64/ld-linux-x86-64.so.2"));
        command
            .args(["--inhibit-cache", "--library-path"])
            .arg(at("usr/lib/x86_64-linux-gnu"))
            .arg(&real)
            .arg("--version");
        command
    });
    let launched = many(&mut || {
        let mut command = Command::new(at("bin/size"));
        command.arg("--version");
        command
    });
    row("size --version by the loader alone", plain, plain);
    row("size --version by its launcher (goal: under 0.2 ms more)", launched, plain);
    println!("  more: {:.2} ms", (launched.as_secs_f64() - plain.as_secs_f64()) * 1e3);
}

/// Measures how long it takes to add something that was fetched before: a Debian package with its libraries, and a Python package with uv.
fn add(cotter: &dyn Fn(&[&str]) -> Command, (uv, dir): &(PathBuf, PathBuf)) {
    let (mut ours, mut theirs) = (vec![], vec![]);
    for _ in 0..5 {
        ours.push(timed(&mut cotter(&["add", "tree", "--quiet"])));
        timed(&mut cotter(&["remove", "tree", "--quiet"]));
        let peer = |verb: &str| {
            let mut command = Command::new(uv);
            command.args([verb, "--quiet", "idna"]).current_dir(dir);
            command
        };
        theirs.push(timed(&mut peer("add")));
        timed(&mut peer("remove"));
    }
    println!("adding what was fetched before; best of 5");
    row("cotter add tree", best(&ours), best(&ours));
    row("uv add idna (goal: over 1)", best(&theirs), best(&ours));
}

/// Measures what a shell waits for before each prompt. The variable `MISE` names a program of mise, whose hook is measured beside it in a project that sets a variable.
fn hook(
    scratch: &Path,
    cotter: &dyn Fn(&[&str]) -> Command,
    many: &dyn Fn(&mut dyn FnMut() -> Command) -> Duration,
) {
    let update = ["hook", "bash", "--update"];
    let state = {
        let mut shell = Command::new("bash");
        let asked = cotter(&update);
        shell.args(["-c", "eval \"$(\"$@\")\"; printf %s \"$COTTER_HOOK\"", "bash", COTTER]);
        shell.args(update).current_dir(asked.get_current_dir().unwrap());
        shell.envs(asked.get_envs().filter_map(|(name, value)| Some((name, value?))));
        String::from_utf8(shell.output().unwrap().stdout).unwrap()
    };
    assert!(!state.is_empty(), "the hook has entered the project");
    let same = many(&mut || {
        let mut command = cotter(&update);
        command.env("COTTER_HOOK", &state);
        command
    });
    let enter = many(&mut || cotter(&update));
    println!("the hook of a shell; median of 200");
    row("nothing has changed (goal: under 5 ms)", same, same);
    row("a project is entered (goal: under 5 ms)", enter, same);
    let Some(mise) = std::env::var_os("MISE") else {
        println!("  MISE names no program, so mise is not measured");
        return;
    };
    let dir = scratch.join("mise");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("mise.toml"), "[env]\nKEPT = \"new\"\n").unwrap();
    let peer = |args: &[&str]| {
        let mut command = Command::new(&mise);
        command.args(args).current_dir(&dir).env("HOME", scratch).env("MISE_YES", "1");
        command.env("MISE_OFFLINE", "1");
        command
    };
    timed(&mut peer(&["trust", "mise.toml"]));
    let entered = many(&mut || peer(&["hook-env", "--shell", "bash"]));
    row("mise hook-env, which enters a project (goal: over 1)", entered, enter);
}

/// Returns uv from the machine's index, with a project that is in sync. If uv cannot be obtained, the result is `None`, and a line says so.
fn uv_project(scratch: &Path) -> Option<(PathBuf, PathBuf)> {
    let venv = scratch.join("venv");
    let dir = scratch.join("uv");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("pyproject.toml"), "[project]\nname = \"x\"\nversion = \"1\"\nrequires-python = \">=3.8\"\ndependencies = []\n").unwrap();
    let steps =
        Command::new("python3").args(["-m", "venv"]).arg(&venv).status().is_ok_and(|s| s.success())
            && Command::new(venv.join("bin/pip"))
                .args(["install", "-q", "uv==0.9.0"])
                .env_remove("PIP_FIND_LINKS")
                .status()
                .is_ok_and(|s| s.success());
    let uv = venv.join("bin/uv");
    if steps
        && Command::new(&uv)
            .args(["sync", "-q", "--offline"])
            .current_dir(&dir)
            .status()
            .is_ok_and(|s| s.success())
    {
        return Some((uv, dir));
    }
    println!("  uv is not to be had on this machine: not compared");
    None
}

/// Starts a plain HTTP server on loopback for a map of files. It ends with the process.
fn serve(files: HashMap<String, Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}/debian", listener.local_addr().unwrap().port());
    let files = Arc::new(files);
    std::thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            let files = files.clone();
            std::thread::spawn(move || answer(stream, &files));
        }
    });
    url
}

fn answer(mut stream: TcpStream, files: &HashMap<String, Vec<u8>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut request = String::new();
        reader.read_line(&mut request).ok().filter(|n| *n > 0)?;
        let path = request.split(' ').nth(1)?.to_owned();
        let mut line = String::new();
        while reader.read_line(&mut line).ok()? > 0 && line != "\r\n" {
            line.clear();
        }
        let (status, body) = files.get(&path).map_or(("404 Not Found", &[][..]), |b| ("200 OK", b));
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).ok()?;
        stream.write_all(body).ok()?;
    }
}
