//! Steps of a build that are hostile: what they try from within the sandbox, how much of the machine they take, and what they leave.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::Command;

use crate::support::building::{Building, INSTALL, Thing};
use crate::support::users::{NOBODY, is_root};
use crate::support::{REPO, contains, copy_program, fails, ok};

/// What the steps of a build try beyond `tests/sandbox/probes.py`. The words between at signs are paths of this machine.
const MORE: &str = r#"
@probe
def a_unix_socket_of_the_machine():
    with socket.socket(socket.AF_UNIX) as s:
        return refused(s.connect, "@SOCKET@")


@probe
def datagrams_leave():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        return refused(s.sendto, b"x", ("192.0.2.1", 53))


@probe
def datagrams_of_ipv6_leave():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        return refused(s.sendto, b"x", ("2001:db8::1", 53))


@probe
def a_name_is_known():
    try:
        return socket.getaddrinfo("www.example.com", 80)
    except socket.gaierror:
        return None


for path in ["@FILE@", "/proc/1/root@FILE@", "/proc/self/cwd/../../..@FILE@", "/proc/self/root@FILE@", "/etc/shadow", "/etc/hostname", "/etc/resolv.conf", "/proc/kcore", "/proc/1/environ"]:
    action_probe(f"{path} is read", lambda path=path: open(path, "rb").read(1))
for path in ["/usr/new", "/usr/bin/new", "/etc/new", "/lib/new", "/bin/new", "/cotter/new", "/cotter/gcc/new", "/cotter/.build/new", "/cotter/.build/script", "/etc/passwd", "/usr/bin/make", "/bin/sh"]:
    action_probe(f"{path} is written", open, path, "w")
    action_probe(f"{path} is appended to", open, path, "a")
for path in ["/usr/bin/make", "/cotter/gcc/bin/gcc", "/etc/passwd"]:
    action_probe(f"{path} is removed", os.unlink, path)
    action_probe(f"{path} is renamed", os.rename, path, path + "2")
    action_probe(f"the mode of {path}", os.chmod, path, 0o777)


@probe
def a_setuid_program_of_the_tools_gains():
    found = []
    for top, _, names in os.walk("/usr"):
        for name in names:
            mode = os.lstat(os.path.join(top, name)).st_mode
            if stat.S_ISREG(mode) and mode & 0o6000:
                found.append(name)
    return found or None


@probe
def another_process_is_signalled():
    # That of the caller, by every number that it may have here, but for this process and process 1.
    got = []
    for pid in range(2, 40000):
        if pid != os.getpid():
            try:
                os.kill(pid, 0)
                got.append(pid)
            except ProcessLookupError:
                pass
            except PermissionError:
                got.append(pid)
    return got or None


@probe
def landlock_is_missing():
    # A process may be in 16 layers. One of them is the sandbox's own.
    attributes = struct.pack("=Q", 1)
    buffer = ctypes.create_string_buffer(attributes)
    ruleset = LIBC.syscall(444, buffer, 8, 0)
    if ruleset < 0:
        return None if ctypes.get_errno() in (errno.ENOSYS, errno.EOPNOTSUPP) else "no rules can be made"

    def layers():
        number = 0
        while number < 40 and LIBC.syscall(446, ruleset, 0) == 0:
            number += 1
        os._exit(number)

    child = os.fork()
    if child == 0:
        layers()
    number = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(ruleset)
    return None if number == 15 else f"{number} more layers"


socket.setdefaulttimeout(2)
for name, got in seen():
    print("refused" if got is None else "OPEN", name, "" if got is None else got, sep="\t")
print("the end")
"#;

/// Runs the project's builds as an ordinary user, with a store of its own that has the same trees.
fn as_user(building: &Building, args: &[&str]) -> Command {
    let scratch = &building.project.scratch;
    let (program, store) = (scratch.join("cotter"), scratch.join("store"));
    let own = building.project.cotter(args);
    if !program.exists() {
        copy_program(own.get_program(), &program);
        std::fs::create_dir(&store).unwrap();
        for part in ["store", "listings", "facts", "inputs"] {
            let from = building.project.store.join(part);
            ok(Command::new("cp").arg("-a").arg(from).arg(&store));
        }
        ok(Command::new("chown").arg("-hR").arg(NOBODY.to_string()).arg(scratch.path()));
    }
    let mut out = Command::new("setpriv");
    let user = NOBODY.to_string();
    out.args(["--reuid", &user, "--regid", &user, "--clear-groups"]).arg(program);
    out.args(args).env_clear();
    out.envs(own.get_envs().filter_map(|(key, value)| Some((key, value?))));
    out.env("COTTER_STORE", store).current_dir(building.project.dir());
    out
}

/// Each probe is refused to a step of a build, for root and for an ordinary user.
#[test]
fn hostile_steps_reach_nothing() {
    let probes = std::fs::read_to_string(Path::new(REPO).join("tests/sandbox/probes.py")).unwrap();
    let users = if is_root() { vec![false, true] } else { vec![false] };
    for ordinary in users {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let name = format!("cotter-step-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let _abstract = UnixListener::bind_addr(&address).unwrap();
        let building = Building::new(&[]);
        let scratch = &building.project.scratch;
        let socket = scratch.join("socket");
        let _file = UnixListener::bind(&socket).unwrap();
        let paths = [scratch.path().file_name().unwrap().to_str().unwrap(), "/store/", REPO];
        let there = "\"/etc\", \"/home\", \"/root\", \"/sys\", \"/usr\", \"/var\", \"/run\", \"/lib\", \"/bin\", \"/nix\"";
        // A system is there, that of the tools; and the variables of a build.
        let known = "known = {";
        assert!(probes.contains(there) && probes.contains(known));
        let code = probes
            .replace(there, "\"/home\", \"/root\", \"/sys\", \"/run\", \"/nix\"")
            .replace(
                known,
                "known = {'AR', 'AS', 'CC', 'CCACHE_COMPILERCHECK', 'CONFIG_SHELL', 'CXX', 'JOBS', 'LANG', 'LD', 'NM', 'OBJCOPY', 'OBJDUMP', 'RANLIB', 'SHELL', 'STRIP', 'PKG_CONFIG_LIBDIR', 'PKG_CONFIG_SYSTEM_INCLUDE_PATH', 'PKG_CONFIG_SYSTEM_LIBRARY_PATH', 'PYTHONNOUSERSITE', 'PWD', ",
            )
            .replace("[\"/build\", \"/dev/shm\", \"/tmp\"]", "[\"/build\", \"/dev/shm\", \"/out\", \"/tmp\"]")
            .replace("@PORT@", &listener.local_addr().unwrap().port().to_string())
            .replace("@ABSTRACT@", &name)
            .replace("@PATHS@", &paths.join("|"));
        let code = code.split("\nif __name__ ").next().unwrap().to_owned() + MORE;
        let file = Path::new(REPO).join("Cargo.toml");
        let code = code
            .replace("@SOCKET@", socket.to_str().unwrap())
            .replace("@FILE@", file.to_str().unwrap());
        let tar = crate::support::archive::Tar::new().file("thing-1.0/probes.py", code.as_bytes());
        let tar = tar.finish();
        scratch.write("thing-1.0.tar", &tar);
        let with = "\"gcc\", \"tools\", \"python\"";
        let steps = &[INSTALL, "exec python3 -I probes.py"];
        let thing = Thing { with, steps, more: "" };
        building.manifest(&thing, &cotter::internals::Digest::of(&tar).to_string());
        let command = |args: &[&str]| match ordinary {
            true => as_user(&building, args),
            false => building.project.cotter(args),
        };
        ok(command(&["build", "--quiet", "thing"]).env("SECRET", "of the caller"));
        let table = ok(&mut command(&["log", "thing"]));
        let lines = || table.lines();
        let open: Vec<&str> = lines().filter(|line| line.starts_with("OPEN")).collect();
        assert_eq!(open, Vec::<&str>::new(), "ordinary: {ordinary}");
        let refused = lines().filter(|line| line.starts_with("refused\t")).count();
        assert!(refused > 210, "only {refused} probes: {table}");
        assert!(table.contains("the end"), "{table}");
    }
}

/// Steps that take too much are ended, the message says what to set, and the store is as before.
#[test]
fn steps_have_bounds() {
    let building = Building::new(&[]);
    let before = building.stored();
    let fork = "#!/bin/bash\nb() { b | b & }\nb\nsleep 60\n";
    let refused = |step: &str, variables: &[(&str, &str)], said: &[&str]| {
        building.thing(&Thing { steps: &[INSTALL, step], ..Thing::default() });
        let mut command = building.project.cotter(&["setup", "thing"]);
        command.env("COTTER_BUILD_TIMEOUT", "60").envs(variables.iter().copied());
        let got = fails(6, &mut command);
        contains(&got, said);
        contains(&got, &["can't build thing", "all that it printed: "]);
        building.assert_stored(&before);
        got
    };
    let few = ("COTTER_BUILD_PROCESSES", "60");
    let too_many = ["more than the 60 processes and threads", "COTTER_BUILD_PROCESSES"];
    refused(&format!("printf '%s' '{fork}' > bomb; bash bomb"), &[few], &too_many);
    let memory = ("COTTER_BUILD_MEMORY", "150");
    let held = "x=$(head -c 1000000 /dev/zero | tr \"\\0\" x)\nwhile true; do x=$x$x; done";
    let script = format!("printf '%s' '{held}' > held; bash held");
    // Bash cannot get more, or is ended before it sees that.
    let got = refused(&script, &[memory], &["can't build thing"]);
    assert!(
        got.contains("used more memory than the 150 MiB") || got.contains("cannot allocate"),
        "{got}"
    );
    refused(
        "head -c 400000000 /dev/zero > /tmp/fill",
        &[memory],
        &["No space left on device", "COTTER_BUILD_MEMORY"],
    );
    let time = ("COTTER_BUILD_TIMEOUT", "1");
    refused("sleep 60", &[time], &["ran for more than 1 s", "COTTER_BUILD_TIMEOUT"]);
    let output = ("COTTER_BUILD_OUTPUT", "3");
    let got = refused(
        "trap '' PIPE; while true; do echo 'a line of many'; done || true",
        &[output, ("COTTER_BUILD_TIMEOUT", "20")],
        &["printed more than the 3 MiB", "COTTER_BUILD_OUTPUT"],
    );
    assert!(!got.contains("ran for more"), "{got}");
}

/// A step leaves no process behind, however it makes it.
#[test]
fn steps_leave_no_process() {
    let building = Building::new(&[]);
    let mark = format!("{}.5", 70_000 + std::process::id());
    let step = format!(
        "sleep {mark} & (setsid sleep {mark} &) ; setsid -f sleep {mark}; (trap '' TERM HUP INT; nohup sleep {mark} > /dev/null 2>&1 &)"
    );
    let with_setsid =
        "command -v setsid > /dev/null || { setsid() { test \"$1\" = -f && shift; \"$@\" & }; }";
    building.thing(&Thing { steps: &[INSTALL, with_setsid, &step], ..Thing::default() });
    building.project.ok(&["setup", "thing"]);
    let left = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let line = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        (line.contains(&mark) && line.starts_with("sleep")).then_some(line)
    });
    assert_eq!(left.collect::<Vec<_>>(), Vec::<String>::new());
}
