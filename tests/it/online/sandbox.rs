//! Builds that are hostile: what they try from within the sandbox, how much of the machine they take, and what they leave.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::requirements::{Packages, sdist};
use crate::support::{REPO, contains, copy_program, fails, ok, text, tree};

const SET: &str = "inputs = [\"requirements.in\"]\nbuild = [\"src\"]\nbuild_requires = []";
/// A user who has no account.
const USER: u32 = 4321;

/// A project whose only package is built by this Python code, which defines `seen()`.
fn hostile(code: &str) -> Packages {
    let packages = Packages::new(SET);
    packages.inputs("src\n");
    packages.publish("src", &[("src-1.0.tar.gz", sdist(code), "")]);
    packages
}

/// Returns the command as the user without an account runs it, with a copy of the program that this user can reach. The project and its store become those of the user.
fn as_user(packages: &Packages, command: &Command) -> Command {
    let program = packages.project.scratch.join("cotter");
    copy_program(command.get_program(), &program);
    let owner = format!("{USER}:{USER}");
    ok(Command::new("chown").arg("-R").arg(&owner).arg(packages.project.scratch.path()));
    let mut out = Command::new("setpriv");
    out.args(["--reuid", &USER.to_string(), "--regid", &USER.to_string(), "--clear-groups"]);
    out.arg(program).args(command.get_args()).env_clear();
    out.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    out.current_dir(command.get_current_dir().unwrap());
    out
}

/// Every probe of `tests/sandbox/probes.py` is refused, for root and for an ordinary user. The table has one line for each.
#[test]
fn hostile_builds_reach_nothing() {
    let probes = std::fs::read_to_string(Path::new(REPO).join("tests/sandbox/probes.py")).unwrap();
    // Only root can try a build as root, and as another user than itself.
    let own = rustix::process::geteuid();
    let users = if own.is_root() {
        vec![("root", false), ("an ordinary user", true)]
    } else {
        println!("not root: builds of root are not tried");
        vec![("the user of the tests", false)]
    };
    for (who, ordinary) in users {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let name = format!("cotter-probe-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let _abstract = UnixListener::bind_addr(&address).unwrap();
        let packages = hostile("");
        let paths = [
            packages.project.scratch.path().file_name().unwrap().to_str().unwrap(),
            "/store/",
            "staging",
            REPO,
        ];
        let code = probes
            .replace("@PORT@", &listener.local_addr().unwrap().port().to_string())
            .replace("@ABSTRACT@", &name)
            .replace("@PATHS@", &paths.join("|"));
        let code = code.split("\nif __name__ ").next().unwrap();
        packages.publish("src", &[("src-1.0.tar.gz", sdist(code), "")]);
        // A directory that is open in the caller, a variable, and a key are not seen in the build.
        let devices = device_state();
        let mut command = packages.project.cotter(&["setup"]);
        command.env("SECRET", "of the caller");
        let command = if ordinary { as_user(&packages, &command) } else { command };
        ok(&mut with_secrets(&command));
        assert_eq!(device_state(), devices, "a device of the machine was changed");
        let read = packages.project.cotter(&[
            "exec",
            "--",
            "python3",
            "-c",
            "import src\nfor name, got in src.seen: print('refused' if got is None else 'OPEN', name, got or '', sep='\\t')",
        ]);
        let table = ok(&mut if ordinary { as_user(&packages, &read) } else { read });
        println!("{who}:\n{table}");
        let (refused, open): (Vec<&str>, Vec<&str>) =
            table.lines().partition(|line| line.starts_with("refused\t"));
        assert_eq!(open, Vec::<&str>::new(), "{who}");
        assert!(refused.len() > 160, "only {} probes", refused.len());
        // What the build has made is data: neither setuid nor of its own user nor writable by others.
        let owner = if ordinary { USER } else { own.as_raw() };
        for entry in walk(&packages.project.store) {
            let meta = std::fs::symlink_metadata(&entry).unwrap();
            if meta.is_symlink() {
                continue;
            }
            let mode = meta.permissions().mode();
            assert_eq!(mode & 0o6002, 0, "{} has mode {mode:o}", entry.display());
            assert_eq!(meta.uid(), owner, "{}", entry.display());
        }
    }
}

/// Returns the command, started by a process that has a key in its session keyring, and a directory of the machine that it leaves open for its children. The command is not started if the key cannot be seen.
fn with_secrets(command: &Command) -> Command {
    let number = if cfg!(target_arch = "x86_64") { 248 } else { 217 };
    let code = format!(
        "import ctypes, os, sys\nlibc = ctypes.CDLL(None)\n\
         assert libc.syscall({number}, b'user', b'cotter-probe', b'secret', 6, -3) > 0\n\
         assert 'cotter-probe' in open('/proc/keys').read()\n\
         os.set_inheritable(os.open('/', os.O_RDONLY), True)\n\
         os.execvp(sys.argv[1], sys.argv[1:])\n"
    );
    let mut out = Command::new(tree("python").join("bin/python3"));
    out.args(["-I", "-c", &code]).arg(command.get_program()).args(command.get_args()).env_clear();
    out.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    out.current_dir(command.get_current_dir().unwrap());
    out
}

/// Returns modes and owners of the devices that a build sees, and when these were changed last.
fn device_state() -> Vec<(u32, u32, u32, i64)> {
    ["full", "null", "random", "urandom", "zero"]
        .iter()
        .map(|name| std::fs::metadata(format!("/dev/{name}")).unwrap())
        .map(|m| (m.mode(), m.uid(), m.gid(), m.ctime()))
        .collect()
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut out = vec![];
    for entry in std::fs::read_dir(dir).unwrap().map(|e| e.unwrap()) {
        if entry.file_type().unwrap().is_dir() {
            out.extend(walk(&entry.path()));
        }
        out.push(entry.path());
    }
    out
}

/// A wheel that is setuid, a link, a pipe, a sparse file, a second file: only bytes of one regular file leave the sandbox.
#[test]
fn only_bytes_leave_the_sandbox() {
    let wheel = "/build/wheel/src-1.0-py3-none-any.whl";
    let packages = hostile(&format!(
        "import atexit\natexit.register(lambda: os.chmod('{wheel}', 0o6777))\ndef seen():\n    return 1\n"
    ));
    packages.project.ok(&["setup"]);
    for entry in walk(&packages.project.store.join("inputs")) {
        let mode = std::fs::metadata(&entry).unwrap().permissions().mode();
        assert_eq!(mode & 0o7133, 0, "{} has mode {mode:o}", entry.display());
    }
    let pipe = hostile(&format!("def seen():\n    os.mkfifo('{wheel}')\n    os._exit(0)\n"));
    contains(
        &pipe.project.fails(4, &["lock"]),
        &["src-1.0-py3-none-any.whl is a device node or a pipe"],
    );
    for (code, said) in [
        (format!("os.symlink('/etc/passwd', '{wheel}')"), "was to make one wheel of src"),
        (format!("os.mkdir('{wheel}')"), "was to make one wheel of src"),
        (format!("open('{wheel}', 'w').truncate(1 << 40)"), "File too large"),
        ("open('/build/wheel/other', 'w')".to_owned(), "and left 2 files"),
        (
            format!(
                "import atexit; atexit.register(lambda: os.link('{wheel}', '/build/wheel/other'))"
            ),
            "and left 2 files",
        ),
    ] {
        let exits = if code.contains("other") { "return 1" } else { "os._exit(0)" };
        let packages = hostile(&format!("def seen():\n    {code}\n    {exits}\n"));
        let result = packages.project.fails(6, &["lock"]);
        contains(&result, &[said]);
        assert_eq!(packages.project.stored("staging"), Vec::<String>::new());
    }
}

/// Builds that take too much are ended, and the message says what to set.
#[test]
fn builds_have_bounds() {
    let refused = |code: &str, variable: (&str, &str), said: &[&str]| {
        let packages = hostile(&format!("import time, mmap\ndef seen():\n{code}\n    return 1\n"));
        let mut command = packages.project.cotter(&["lock"]);
        command.env(variable.0, variable.1);
        contains(&fails(6, &mut command), said);
        assert_eq!(packages.project.stored("staging"), Vec::<String>::new());
        packages
    };
    let memory = ("COTTER_BUILD_MEMORY", "300");
    let too_much = ["used more memory than the 300 MiB", "COTTER_BUILD_MEMORY"];
    let children = "    for _ in range(12):\n        if os.fork() == 0:\n            held = bytearray(40 << 20)\n            time.sleep(60)\n    time.sleep(60)";
    refused(children, memory, &too_much);
    let shared = "    held = mmap.mmap(-1, 600 << 20)\n    for at in range(0, 600 << 20, 4096):\n        held[at] = 1\n    time.sleep(60)";
    refused(shared, memory, &too_much);
    // What lies in the buffers of sockets is no memory of a process.
    let sockets = "    import resource, socket\n    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))\n    held = []\n    while len(held) < 4000:\n        a, b = socket.socketpair()\n        a.setblocking(False)\n        held.append((a, b))\n        try:\n            while True:\n                a.send(bytes(65536))\n        except BlockingIOError:\n            pass\n    time.sleep(60)";
    refused(sockets, memory, &too_much);
    let disk = "    with open('/tmp/fill', 'wb') as file:\n        for _ in range(400):\n            file.write(b'x' * (1 << 20))";
    refused(disk, memory, &["No space left on device"]);
    let time = ("COTTER_BUILD_TIMEOUT", "2");
    refused("    time.sleep(60)", time, &["ran for more than 2 s", "COTTER_BUILD_TIMEOUT"]);
    // 100 MB of output are neither held in memory nor written to the disk.
    let output = "    for _ in range(100):\n        print('x' * (1 << 20))\n    raise ImportError('after all that')";
    let packages = refused(output, ("SECRET", "1"), &["after all that", "all that it printed: "]);
    let size = packages.project.ok(&["log", "src-1.0.tar.gz"]).len();
    assert!((16 << 20..17 << 20).contains(&size), "{size}");
    // The least memory is enough for a small build.
    let small = hostile("def seen():\n    return 1\n");
    crate::support::ok(small.project.cotter(&["lock"]).env("COTTER_BUILD_MEMORY", "128"));
    // A variable that is no number is refused.
    let mut command = packages.project.cotter(&["lock"]);
    command.env("COTTER_BUILD_MEMORY", "much");
    contains(&fails(1, &mut command), &["COTTER_BUILD_MEMORY is no number: \"much\""]);
}

/// Returns the processes of the machine whose command line has a word.
fn processes_with(word: &str) -> Vec<u32> {
    let mut out = vec![];
    for entry in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if pid != std::process::id() && String::from_utf8_lossy(&line).contains(word) {
            out.push(pid);
        }
    }
    out
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} within a minute");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whatever ends cotter ends the build with all its processes, and a build leaves none behind.
#[test]
fn builds_end_with_their_caller() {
    for signal in ["KILL", "TERM", "INT"] {
        let word = format!("sleeper-{signal}-{}", std::process::id());
        let code = format!(
            "import subprocess, sys, time\ndef seen():\n    for _ in range(3):\n        subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', '{word}'], start_new_session=True)\n    time.sleep(600)\n"
        );
        let packages = hostile(&code);
        let mut child = packages
            .project
            .cotter(&["lock"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("the build starts its processes", || processes_with(&word).len() >= 3);
        ok(Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()));
        child.wait().unwrap();
        until("all processes end", || processes_with(&word).is_empty());
    }
    // A process that a successful build leaves behind ends, too.
    let word = format!("daemon-{}", std::process::id());
    let code = format!(
        "import subprocess, sys\ndef seen():\n    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', '{word}'], start_new_session=True)\n    return 1\n"
    );
    hostile(&code).project.ok(&["lock"]);
    assert_eq!(processes_with(&word), Vec::<u32>::new());
}

/// To learn what a source distribution requires, uv runs its code. It does so in the sandbox, where the indexes are answered by cotter: the code sees neither their credentials nor another server nor a file of the machine,
/// and the lock is the same that uv would give outside.
#[test]
fn code_that_runs_while_resolving_is_in_the_sandbox() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let packages = Packages::new(SET);
    // The metadata is dynamic, so that uv must ask the backend.
    let seen = format!(
        "import json, socket\ndef seen():\n    return 1\ndef look():\n    try:\n        socket.create_connection(('127.0.0.1', {port}), 2)\n        network = True\n    except OSError:\n        network = False\n    \
         return json.dumps([sorted(os.listdir('/')), network, sorted(k for k in os.environ if 'SECRET' in k or 'INDEX' in k), os.getuid()])\n\
         def prepare_metadata_for_build_wheel(directory, config_settings=None):\n    info = os.path.join(directory, 'src-1.0.dist-info')\n    os.makedirs(info)\n    \
         with open(info + '/METADATA', 'w') as file:\n        file.write('Metadata-Version: 2.1\\nName: src\\nVersion: 1.0\\nRequires-Dist: lib\\n')\n    \
         with open(info + '/WHEEL', 'w') as file:\n        file.write('Wheel-Version: 1.0\\nTag: py3-none-any\\n')\n    \
         if LOUD:\n        raise SystemExit(look())\n    return 'src-1.0.dist-info'\n"
    );
    let dynamic = |loud: &str| {
        let backend = format!("LOUD = {loud}\n{seen}");
        crate::support::archive::gzip(
            &crate::support::archive::Tar::new()
                .file("src-1.0/PKG-INFO", b"Metadata-Version: 2.1\nName: src\nVersion: 1.0\n")
                .file(
                    "src-1.0/pyproject.toml",
                    b"[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n",
                )
                .file("src-1.0/backend.py", super::requirements::backend(&backend).as_bytes())
                .finish(),
        )
    };
    packages.inputs("src\n");
    packages.publish_wheel(
        "lib",
        "1.0",
        super::requirements::Wheel::of(&[("lib.py", "answer = 42\n")]),
    );
    packages.publish("src", &[("src-1.0.tar.gz", dynamic("True"), "")]);
    // The index has credentials.
    let manifest = std::fs::read_to_string(packages.project.dir().join("toolchains.toml")).unwrap();
    packages.project.manifest(&manifest.replace("http://127", "http://user:opensesame@127"));
    let mut command = packages.project.cotter(&["lock"]);
    let said = fails(1, command.env("SECRET", "of the caller"));
    contains(
        &said,
        &[
            "[\"build\", \"cotter\", \"dev\", \"proc\", \"tmp\"], false, [\"UV_DEFAULT_INDEX\"], 1000]",
        ],
    );
    assert!(!said.contains("opensesame") && !said.contains("127.0.0.1:3128"), "{said}");
    packages.publish("src", &[("src-1.0.tar.gz", dynamic("False"), "")]);
    packages.project.ok(&["lock"]);
    contains(&packages.project.lock_text(), &["lib-1.0-py3-none-any.whl", "src-1.0.tar.gz"]);
    assert!(!packages.project.lock_text().contains("3128"));
    let written =
        std::fs::read_to_string(packages.project.dir().join("requirements-app.txt")).unwrap();
    contains(&written, &["lib==1.0", "# via src", "# via -r requirements.in"]);
    assert!(!written.contains("127.0.0.1") && !written.contains("/build/"), "{written}");
    // A page that names a file of this machine does not make cotter read it for the sandbox.
    let secret = packages.project.scratch.write("local-1.0-py3-none-any.whl", "secret");
    packages.server.put(
        "/simple/local/",
        format!("<a href=\"file://{}\">local-1.0-py3-none-any.whl</a>", secret.display()),
    );
    packages.inputs("src\nlocal\n");
    let said = packages.project.fails(1, &["lock"]);
    assert!(!said.contains("secret"), "{said}");
    // A file that the index lists and does not serve is a failure of the network, and is named as the user knows it.
    packages.server.put(
        "/simple/listed/",
        "<a href=\"../../files/listed-1.0-py3-none-any.whl\">listed-1.0-py3-none-any.whl</a>",
    );
    packages.inputs("src\nlisted\n");
    let said = packages.project.fails(5, &["lock"]);
    contains(&said, &["uv can't ask the package index", "/files/listed-1.0-py3-none-any.whl"]);
    assert!(!said.contains("3128"), "{said}");
}

/// A page of an index on the Internet names a file of a server that only this machine can reach.
#[test]
fn a_resolution_is_not_led_to_servers_of_this_machine() {
    let packages = hostile("def seen():\n    return 1\n");
    let (project, server) = (&packages.project, &packages.server);
    let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    project.manifest(&manifest.replace(&server.url, "http://index.invalid"));
    let inner = crate::support::server::Server::start();
    let secret = inner.put("/src-1.0.tar.gz", sdist("def seen():\n    return 1\n"));
    let page = format!("<a href=\"{secret}\">src-1.0.tar.gz</a>");
    server.put("http://index.invalid/simple/src/", page);
    let mut command = project.cotter(&["lock"]);
    command.env("http_proxy", &server.url).env("no_proxy", "127.0.0.1");
    contains(
        &fails(5, &mut command),
        &["a page of the index http://index.invalid/simple names files on", "this machine"],
    );
    assert_eq!(inner.log(), Vec::<String>::new());
}

/// Code of a package runs beside uv, and can write to what uv writes. pip and Bazel's rules obey each line of a list.
#[test]
fn code_that_runs_while_resolving_adds_no_line_to_the_list() {
    let packages = Packages::new(SET);
    packages.inputs("src\n");
    let code = "import signal, time\ndef seen():\n    return 1\n\
        def driver():\n    for name in os.listdir('/proc'):\n        if name.isdigit():\n            with open(f'/proc/{name}/cmdline', 'rb') as file:\n                if b'/build/out/code' in file.read():\n                    return int(name)\n\
        def large(path):\n    return os.path.exists(path) and os.path.getsize(path)\n\
        def prepare_metadata_for_build_wheel(directory, config_settings=None):\n    info = os.path.join(directory, 'src-1.0.dist-info')\n    os.makedirs(info)\n    \
        with open(info + '/METADATA', 'w') as file:\n        file.write('Metadata-Version: 2.1\\nName: src\\nVersion: 1.0\\n')\n    \
        with open(info + '/WHEEL', 'w') as file:\n        file.write('Wheel-Version: 1.0\\nTag: py3-none-any\\n')\n    \
        if os.fork():\n        return 'src-1.0.dist-info'\n    os.setsid()\n    null = os.open('/dev/null', os.O_RDWR)\n    for number in (0, 1, 2):\n        os.dup2(null, number)\n    \
        while not large('/build/out/2.out'):\n        if os.path.exists('/build/out/2.err'):\n            os.kill(driver(), signal.SIGSTOP)\n        time.sleep(0.01)\n    time.sleep(0.3)\n    \
        with open('/build/source/scratch/universal.txt', 'a') as file:\n        file.write('@LINE@\\n')\n    os.kill(driver(), signal.SIGCONT)\n    os._exit(0)\n";
    let publish = |line: &str| {
        let backend = super::requirements::backend(&code.replace("@LINE@", line));
        let tar = crate::support::archive::Tar::new()
            .file("src-1.0/PKG-INFO", b"Metadata-Version: 2.1\nName: src\nVersion: 1.0\n")
            .file(
                "src-1.0/pyproject.toml",
                b"[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n",
            )
            .file("src-1.0/backend.py", backend.as_bytes());
        let sdist = crate::support::archive::gzip(&tar.finish());
        packages.publish("src", &[("src-1.0.tar.gz", sdist, "")]);
    };
    // The code races with what it attacks, and comes too late at times: then the list is as without it.
    let list = packages.project.dir().join("requirements-app.txt");
    let comes_in_time = |line: &str, check: &dyn Fn(&std::process::Output) -> bool| {
        for _ in 0..30 {
            publish(line);
            let output = packages.project.cotter(&["lock", "--upgrade", "app"]).output().unwrap();
            if check(&output) {
                return;
            }
            let written = std::fs::read_to_string(&list).unwrap();
            assert!(
                output.status.success() && !written.contains(line),
                "{line}: {}",
                text(&output)
            );
        }
        panic!("the code never came in time with {line}");
    };
    // A comment does no harm, and shows that the code has written to the list.
    let comment = "# this is of the package";
    comes_in_time(comment, &|output| {
        output.status.success() && std::fs::read_to_string(&list).unwrap().contains(comment)
    });
    for line in [
        "--extra-index-url https://index.invalid/simple",
        "lib @ https://index.invalid/lib-1.0-py3-none-any.whl",
        "src==2.0",
    ] {
        comes_in_time(line, &|output| {
            let said = text(output);
            let refused = said.contains("the resolution is refused");
            if refused {
                assert_eq!(output.status.code(), Some(4), "{said}");
                contains(&said, &[line, "may have written that"]);
            }
            refused
        });
    }
}

/// A repository writes its lock. What is built is for the manifest to say, or for the user.
#[test]
fn a_lock_builds_nothing_that_the_manifest_does_not_name() {
    let packages = hostile("def seen():\n    return 1\n");
    let project = &packages.project;
    project.ok(&["lock"]);
    let good = project.lock_text();
    packages.set("inputs = [\"requirements.in\"]");
    let mut text = good.clone();
    for key in ["build", "build_requires", "built_with"] {
        let line =
            text.lines().find(|line| line.starts_with(&format!("{key} = ["))).map(str::to_owned);
        if let Some(line) = line {
            text = crate::trust::forged(&text, &format!("{line}\n"), "");
        }
    }
    project.scratch.write("project/toolchains.lock", &text);
    let said = project.fails(3, &["setup", "--locked"]);
    contains(&said, &["src-1.0.tar.gz is source code, and `build` does not name src"]);
    let mut frozen = project.cotter(&["setup", "--frozen"]);
    let said = fails(1, frozen.env_remove("COTTER_TRUST"));
    contains(
        &said,
        &["code of the package src, which is built for [requirements.app] in a sandbox"],
    );
    // Other names than those of the files are lies.
    packages.set(SET);
    for (from, to) in [
        ("name = \"src\", version = \"1.0\"", "name = \"src\", version = \"2.0\""),
        ("name = \"src\", version = \"1.0\"", "name = \"other\", version = \"1.0\""),
    ] {
        project.scratch.write("project/toolchains.lock", crate::trust::forged(&good, from, to));
        contains(&project.fails(3, &["setup", "--locked"]), &["src-1.0.tar.gz is named "]);
    }
}
