//! Builds that depend on something that they should not: `cotter rebuild --check` names it, or the sandbox leaves nothing to depend on.

use std::process::Command;

use serde_json::Value;

use super::requirements::{Packages, sdist};
use crate::support::archive::{Tar, gzip};
use crate::support::{Project, contains, fails, names, ok, shared_store};

/// What `rebuild --check` must find.
enum Expected {
    /// Exactly these causes.
    Caught(&'static [&'static str]),
    /// Nothing: the sandbox gives the same to every build, or cotter takes it out of the result.
    Same,
}

use Expected::{Caught, Same};

/// A program that writes what was in its memory before.
const UNSET: &str = r#"cat > unset.c <<'END'
#include <stdio.h>
__attribute__((noinline)) void used(void) { void *volatile p[64]; for (int i = 0; i < 64; i++) p[i] = (void *)&p[i]; }
__attribute__((noinline)) void unset(void) { struct { char name[4]; void *rest[8]; } s; fwrite(&s, sizeof s, 1, stdout); }
int main(void) { used(); unset(); return 0; }
END
gcc -O0 unset.c -o unset
./unset > /out/x"#;

/// A program that writes the time in binary form.
const BINARY_TIME: &str = r#"cat > time.c <<'END'
#include <stdio.h>
#include <time.h>
int main(void) { time_t now = time(0); fwrite(&now, 4, 1, stdout); return 0; }
END
gcc time.c -o time
./time > /out/x"#;

/// Each planted fault: its name, the steps of the build, and what is found.
const PLANTED: &[(&str, &str, Expected)] = &[
    ("plain", "echo hello > /out/x", Same),
    // Time.
    ("time-text", "date > /out/x", Caught(&["time"])),
    ("time-seconds", "date +%s > /out/x", Caught(&["time"])),
    ("time-day", "date +%Y-%m-%d > /out/x", Caught(&["time"])),
    ("time-binary", BINARY_TIME, Caught(&["time"])),
    ("time-gzip", "cp a.c new\ngzip -c new > /out/x.gz", Caught(&["time"])),
    ("time-tar", "echo new > new\ntar cf /out/x.tar --owner=0 --group=0 new", Caught(&["time"])),
    (
        "time-macro",
        "echo 'const char when[] = __DATE__ __TIME__;' > t.c\ngcc -c t.c -o /out/t.o",
        Same,
    ),
    (
        "time-macro-of-the-clock",
        "echo 'const char when[] = __DATE__ \" \" __TIME__;' > t.c\nenv -u SOURCE_DATE_EPOCH gcc -c t.c -o /out/t.o",
        Caught(&["time"]),
    ),
    ("zip", "echo new > new\nzip -q /out/x.zip new", Caught(&["time", "user"])),
    ("ar-headers", "gcc -c a.c b.c\nar rcU /out/x.a a.o b.o", Caught(&["time", "user"])),
    // What only debuggers read is removed, and the archive is written anew.
    ("ar-headers-mended", "gcc -c a.c b.c\nar rcU /out/x.a a.o b.o", Same),
    ("ar-without-headers", "gcc -c a.c b.c\nar rcD /out/x.a a.o b.o", Same),
    // Order.
    ("order", "ls -U > /out/x", Caught(&["directory-order"])),
    ("order-words", "echo $(find . -name '*.c') > /out/x", Caught(&["directory-order"])),
    ("order-sorted", "find . -name '*.c' | sort > /out/x", Same),
    (
        "order-ar",
        "for file in $(ls -U | grep '[.]c$'); do gcc -c $file; done\nar rcD /out/x.a $(find . -name '*.o')",
        Caught(&["directory-order"]),
    ),
    (
        "order-link",
        "gcc -shared -fPIC -o /out/x.so $(find . -name '*.c')",
        Caught(&["directory-order"]),
    ),
    (
        "order-tar",
        "tar cf /out/x.tar --owner=0 --group=0 --mtime=@0 .",
        Caught(&["directory-order"]),
    ),
    ("order-tar-sorted", "tar cf /out/x.tar --sort=name --owner=0 --group=0 --mtime=@0 .", Same),
    (
        "order-of-jobs",
        "for n in 1 2 3 4 5 6 7 8; do (sleep 0.$(od -An -N1 -tu1 /dev/urandom | tr -d ' '); echo $n >> /out/x) & done; wait",
        Caught(&["random-order"]),
    ),
    // Random values.
    ("random", "cat /proc/sys/kernel/random/uuid > /out/x", Caught(&["random"])),
    ("random-of-bash", "bash -c 'echo $RANDOM $RANDOM $RANDOM' > /out/x", Caught(&["random"])),
    ("memory", UNSET, Caught(&["memory"])),
    // The surroundings.
    (
        "path-in-a-program",
        "echo 'const char where[] = __FILE__;' > p.c\ngcc -c $PWD/p.c -o /out/p.o",
        Caught(&["path"]),
    ),
    ("path-in-a-text", "pwd > /out/x", Same),
    ("path-hidden", "pwd | sha256sum > /out/x", Caught(&["path"])),
    ("host", "hostname > /out/x\nuname -n >> /out/x", Caught(&["host"])),
    ("user-number", "id -u > /out/x", Caught(&["user"])),
    ("user-name", "id > /out/x", Caught(&["user"])),
    ("user-hidden", "id -u | sha256sum > /out/x", Caught(&["user"])),
    ("jobs", "echo made with $JOBS jobs > /out/x", Caught(&["jobs"])),
    ("processors", "nproc > /out/x", Caught(&["processors"])),
    ("kernel", "uname -r > /out/x", Caught(&["kernel"])),
    ("kernel-of-proc", "cat /proc/version > /out/x", Caught(&["kernel"])),
    ("boot", "cat /proc/sys/kernel/random/boot_id > /out/x", Caught(&["machine"])),
    // What is the same for every build, whatever the caller has.
    (
        "locale",
        "ls > /out/x\necho $LC_ALL $LANG >> /out/x\nprintf '%s\\n' a B c | sort >> /out/x",
        Same,
    ),
    ("zone", "date -d @0 > /out/x\necho $TZ >> /out/x", Same),
    (
        "umask",
        "umask > /out/x\necho new > new\nmkdir dir\ntar cf /out/x.tar --owner=0 --group=0 --mtime=@0 new dir",
        Same,
    ),
];

/// Makes the project with all planted faults, and locks it.
fn planted() -> Project {
    let function = |name: &str| format!("int {name}(void) {{ return '{name}'; }}\n").into_bytes();
    let source = ["a", "b", "c"]
        .iter()
        .fold(Tar::new(), |tar, name| tar.file(&format!("x-1/{name}.c"), &function(name)));
    let source = gzip(&source.file("x-1/B.txt", b"").file("x-1/d.txt", b"").finish());
    let mut project = Project::new("");
    let path = project.scratch.write("x-1.tar.gz", &source);
    let mut manifest = String::from(
        r#"platforms = ["x86_64-linux"]

[toolchains.gcc]
kind = "cc"
source = "debian"
suite = "bookworm"
packages = ["gcc-12", "g++-12"]

[toolchains.tools]
kind = "tool"
source = "debian"
suite = "bookworm"
packages = ["dash", "bash", "coreutils", "hostname", "make", "sed", "grep", "mawk", "findutils", "tar", "gzip", "zip"]
"#,
    );
    let sha256 = ok(Command::new("sha256sum").arg(&path));
    let sha256 = sha256.split(' ').next().unwrap();
    for (name, steps, _) in PLANTED {
        let steps = format!("{steps:?}");
        manifest.push_str(&format!(
                "\n[toolchains.{name}]\nkind = \"tool\"\nsource = \"build\"\nversion = \"1\"\nurl = \"file://{}\"\nsha256 = \"{sha256}\"\nwith = [\"gcc\", \"tools\"]\nsteps = [{steps}]\nstrip = {}\n",
                path.display(),
                *name != "ar-headers"
            ));
    }
    project.manifest(&manifest);
    project.store = shared_store().to_owned();
    project.ok(&["lock"]);
    project
}

/// All of this is one test, because locking the project takes most of its time.
#[test]
fn builds_are_repeated_and_challenged() {
    let project = planted();
    every_planted_fault_is_caught_or_the_same(&project);
    differences_are_told_in_words(&project);
    caches_are_challenged(&project);
}

/// Each of the planted faults is caught with its cause, and with no other one, or the result is the same. The caller has another locale, time zone and umask than the one who has locked.
fn every_planted_fault_is_caught_or_the_same(project: &Project) {
    let plain = project.cotter(&["rebuild", "--check", "--json"]);
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(plain.get_program());
    command.args(plain.get_args()).current_dir(project.dir()).env_clear();
    command.envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))));
    command.env("LC_ALL", "de_DE.UTF-8").env("LANG", "de_DE.UTF-8").env("TZ", "Asia/Tokyo");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", crate::support::text(&output));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rebuilt = said["rebuilt"].as_array().unwrap();
    assert_eq!(rebuilt.len(), PLANTED.len());
    let mut wrong = vec![];
    for (name, _, expected) in PLANTED {
        let row = rebuilt.iter().find(|row| row["name"] == *name).unwrap();
        let causes: Vec<&str> =
            row["causes"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        let expected: &[&str] = match expected {
            Caught(causes) => causes,
            Same => &[],
        };
        println!("{name}: {causes:?} after {} builds", row["builds"]);
        // Without a second processor, nothing can be taken away.
        let one = std::thread::available_parallelism().unwrap().get() == 1;
        let is_right = causes == expected && row["same"] == expected.is_empty();
        if !(is_right || one && *name == "processors") {
            wrong.push(format!("{name}: expected {expected:?}, got {row:#}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What differs is told in words, both results are kept, and nothing of a second build replaces the first.
fn differences_are_told_in_words(project: &Project) {
    let lock = project.lock_text();
    let keep = project.scratch.join("kept");
    let command = || project.cotter(&["rebuild", "--check", "path-in-a-program", "--keep"]);
    let output = command().arg(&keep).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    contains(
        &String::from_utf8_lossy(&output.stdout),
        &[
            "path-in-a-program: not the bytes of the lock (1 build in other surroundings)",
            "section .rodata, symbol where, byte ",
            "\"/build/source/p.c\" became \"/rebuild/source/p.c\"",
            "cause: the directory of the build",
            "cause: it follows from the other differences of the file",
        ],
    );
    contains(
        &String::from_utf8_lossy(&output.stderr),
        &["1 of 1 result is not reproducible", "it depends on the directory of the build"],
    );
    for (side, place) in [("old", "/build/source/p.c"), ("new", "/rebuild/source/p.c")] {
        let file = keep.join("path-in-a-program").join(side).join("p.o");
        let bytes = std::fs::read(file).unwrap();
        assert!(bytes.windows(place.len()).any(|part| part == place.as_bytes()), "{side}");
    }
    let said = fails(1, command().arg(&keep));
    contains(&said, &["is not empty", "hint: name a directory that does not exist"]);
    assert_eq!(project.lock_text(), lock);
    // The same surroundings again: nothing to tell.
    let said = project.ok(&["rebuild", "path-in-a-program", "host"]);
    contains(&said, &["path-in-a-program: the same bytes as in the lock", "host: the same bytes"]);
    let said = project.fails(4, &["rebuild", "random"]);
    contains(&said, &["random: it is not known what", "`cotter rebuild --check` says what"]);
    let said = project.fails(1, &["rebuild", "gcc"]);
    contains(&said, &["nothing of gcc is built from source", "cotter challenge gcc --cache URL"]);
}

/// A wheel that is built from a source distribution is checked in the same way.
#[test]
fn a_wheel_of_a_source_distribution_is_checked() {
    let packages =
        Packages::new("inputs = [\"requirements.in\"]\nbuild = [\"src\"]\nbuild_requires = []");
    packages.inputs("src\n");
    let code = "import os, time\ndef seen():\n    return [os.uname().nodename, time.time()]\n";
    packages.publish("src", &[("src-1.0.tar.gz", sdist(code), "")]);
    packages.project.ok(&["lock"]);
    let output =
        packages.project.cotter(&["rebuild", "--check", "app", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", crate::support::text(&output));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = &said["rebuilt"][0];
    assert_eq!(row["file"], "src-1.0.tar.gz");
    for cause in ["host", "time"] {
        assert!(row["causes"].as_array().unwrap().contains(&cause.into()), "{row:#}");
    }
}

/// Caches are asked for what they have of a tree, and a build of this machine is compared, too.
fn caches_are_challenged(project: &Project) {
    project.ok(&["setup", "plain", "random"]);
    let (good, bad, none) = ["good", "bad", "none"].map(|name| project.scratch.join(name)).into();
    let key = project.scratch.join("key");
    project.ok(&["cache", "key", "test-1", key.to_str().unwrap()]);
    let url = |dir: &std::path::Path| format!("file://{}", dir.display());
    for dir in [&good, &bad] {
        project.ok(&[
            "cache",
            "push",
            &url(dir),
            "plain",
            "random",
            "--key",
            key.to_str().unwrap(),
        ]);
    }
    std::fs::create_dir_all(&none).unwrap();
    // The description of one cache names another hash.
    let said: Value = serde_json::from_str(&project.ok(&[
        "challenge",
        "plain",
        "--cache",
        &url(&good),
        &url(&none),
        "--deep",
        "--rebuild",
        "--json",
    ]))
    .unwrap();
    let answers: Vec<&str> = said["caches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["answer"].as_str().unwrap())
        .collect();
    assert_eq!(answers, ["same", "not there"]);
    assert_eq!(
        (&said["caches"][0]["signers"][0], &said["rebuilt"]),
        (&"test-1".into(), &"same".into())
    );
    let hash = said["store_name"].as_str().unwrap().split('-').next().unwrap().to_owned();
    let info = bad.join(format!("{hash}.narinfo"));
    let text = std::fs::read_to_string(&info).unwrap();
    let line = text.lines().find(|line| line.starts_with("NarSize: ")).unwrap();
    std::fs::write(&info, text.replace(line, "NarSize: 12345")).unwrap();
    let said =
        project.fails(4, &["challenge", "plain", "--cache", &url(&good), "--cache", &url(&bad)]);
    contains(
        &said,
        &["not everybody has the plain of the lock", "12345 bytes", "cotter cache remove"],
    );
    // What the description says is true, and the bytes are others.
    let said = project.cotter(&["challenge", "random", "--cache", &url(&bad)]);
    ok(&mut { said });
    let of_random = project.ok(&["path", "random"]);
    let of_random =
        of_random.trim().rsplit('/').next().unwrap().split('-').next().unwrap().to_owned();
    let text = std::fs::read_to_string(bad.join(format!("{of_random}.narinfo"))).unwrap();
    let file = text.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap();
    let of_plain = std::fs::read_to_string(good.join(format!("{hash}.narinfo"))).unwrap();
    let other = of_plain.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap();
    std::fs::copy(good.join(other), bad.join(file)).unwrap();
    assert!(!names(&bad).is_empty());
    let said = project.fails(4, &["challenge", "random", "--cache", &url(&bad), "--deep"]);
    contains(&said, &["not everybody has the random of the lock"]);
    // Its build is another one each time.
    let said = project.fails(4, &["challenge", "random", "--cache", &url(&good), "--rebuild"]);
    contains(
        &said,
        &["a build of this machine has another result", "cotter rebuild --check random"],
    );
    let said = project.fails(1, &["challenge", "gcc", "--cache", &url(&good), "--rebuild"]);
    contains(&said, &["nothing of gcc is built from source"]);
}
