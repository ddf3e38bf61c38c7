//! The command line on the repository's own toolchains.

use crate::support::{Project, REPO, contains, in_store, ok, shared_store, tree};

#[test]
fn data_goes_to_standard_output_and_quiet_is_quiet() {
    let repo = std::path::Path::new(REPO);
    let output = in_store(shared_store(), repo, &["setup"]).output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    contains(&out, &["name", "gcc", "12.2.0-14+deb12u1", "x86_64-linux", "MiB", "already there"]);
    assert_eq!(err, "");
    assert!(!out.contains('\x1b'), "colours off a terminal");
    let output = in_store(shared_store(), repo, &["setup", "--quiet"]).output().unwrap();
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
    contains(&ok(&mut in_store(shared_store(), repo, &["setup", "--color", "always"])), &["\x1b["]);
    let json: serde_json::Value =
        serde_json::from_str(&ok(&mut in_store(shared_store(), repo, &["setup", "--json"])))
            .unwrap();
    assert_eq!(json["trees"].as_array().unwrap().len(), 2);
    assert_eq!(json["trees"][0]["fetched"], false);
    let json: serde_json::Value =
        serde_json::from_str(&ok(&mut in_store(shared_store(), repo, &["list", "--json"])))
            .unwrap();
    assert_eq!(json["trees"].as_array().unwrap().len(), 4);
    contains(&ok(&mut in_store(shared_store(), repo, &["list"])), &["python", "ready"]);
}

#[test]
fn a_package_of_debian_is_found_added_used_and_explained() {
    let project = Project::new("# Mine.\nplatforms = [\"x86_64-linux\"]\n");
    contains(&project.ok(&["search", "jq"]), &["jq", "1.6-2.1", "bookworm", "taken"]);
    contains(&project.ok(&["add", "jq"]), &["+ jq 1.6-2.1", "1 tree added"]);
    contains(&project.ok(&["exec", "--", "jq", "-n", "1 + 2"]), &["3\n"]);
    contains(&project.ok(&["which", "jq"]), &["/bin/jq\n"]);
    contains(
        &project.ok(&["why", "libonig5"]),
        &["`packages` of [toolchains.jq]: jq -> libjq1 -> libonig5\n"],
    );
    // What was locked just now is the newest.
    contains(&project.ok(&["outdated", "--json"]), &["\"packages\": []"]);
    contains(&project.ok(&["lock", "--upgrade", "--dry-run"]), &["nothing changes"]);
    project.ok(&["remove", "jq"]);
    let text = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    assert_eq!(text, "# Mine.\nplatforms = [\"x86_64-linux\"]\n");
}

#[test]
fn completions_schema_doctor_and_github() {
    let project = Project::new("platforms = [\"x86_64-linux\"]\n");
    for shell in ["bash", "zsh", "fish"] {
        contains(&project.ok(&["completions", shell]), &["cotter", "verify"]);
    }
    contains(&project.ok(&["doctor", "--offline"]), &["store", "disk", "not asked: --offline"]);
    let json: serde_json::Value = serde_json::from_str(&project.ok(&["doctor", "--json"])).unwrap();
    assert!(json["checks"].as_array().unwrap().len() >= 5);
    let repo = std::path::Path::new(REPO);
    let files = crate::support::Scratch::new();
    ok(in_store(shared_store(), repo, &["env", "--github"])
        .env("GITHUB_ENV", files.join("env"))
        .env("GITHUB_PATH", files.join("path")));
    contains(&std::fs::read_to_string(files.join("env")).unwrap(), &["CC=/", "/bin/gcc\n"]);
    assert_eq!(std::fs::read_to_string(files.join("path")).unwrap().lines().count(), 2);
    contains(
        &ok(&mut in_store(shared_store(), repo, &["env", "--direnv"])),
        &["PATH_add '/", "watch_file"],
    );
}

#[test]
fn the_schemas_accept_the_real_files_and_know_every_key() {
    let scratch = crate::support::Scratch::new();
    // Other programs check the result: the pinned Python has a TOML reader, and jsonschema comes from the machine's index.
    let python = crate::support::tree("python").join("bin/python3");
    let mut venv = std::process::Command::new(&python);
    crate::support::clean(&mut venv, scratch.path());
    ok(venv.args(["-m", "venv"]).arg(scratch.join("venv")));
    let mut pip = std::process::Command::new(scratch.join("venv/bin/pip"));
    crate::support::clean(&mut pip, scratch.path());
    ok(pip.args(["install", "--quiet", "--disable-pip-version-check", "jsonschema==4.23.0"]));
    let script = r#"
import json, subprocess, sys, tomllib, jsonschema
cotter, repo = sys.argv[1:]
def schema(what): return json.loads(subprocess.check_output([cotter, "schema", what]))
def check(what, path):
    jsonschema.Draft202012Validator.check_schema(schema(what))
    return [e.message for e in jsonschema.Draft202012Validator(schema(what)).iter_errors(tomllib.loads(open(path).read()))]
for d in [repo, repo + "/examples/libraries", repo + "/examples/flask", repo + "/examples/zig"]:
    assert check("manifest", d + "/toolchains.toml") == [], check("manifest", d + "/toolchains.toml")
    assert check("lock", d + "/toolchains.lock") == [], check("lock", d + "/toolchains.lock")
bad = repo_bad = sys.stdin.read()
open("bad.toml", "w").write(bad)
assert len(check("manifest", "bad.toml")) >= 3, check("manifest", "bad.toml")
print("valid")
"#;
    let mut python = std::process::Command::new(scratch.join("venv/bin/python"));
    crate::support::clean(&mut python, scratch.path());
    let mut child = python
        .args(["-c", script, env!("CARGO_BIN_EXE_cotter"), REPO])
        .current_dir(scratch.path())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    use std::io::Write;
    child.stdin.take().unwrap().write_all(b"platforms = [\"mips\"]\ncolour = 1\n[toolchains.X]\nkind = \"c\"\nsource = \"debian\"\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", crate::support::text(&output));
}

/// The sets of the Flask example: what is named brings its interpreter, for every command.
#[test]
fn a_set_brings_its_interpreter_and_several_sets_are_told() {
    let flask = std::path::Path::new(REPO).join("examples/flask");
    let cotter = |args: &[&str]| in_store(shared_store(), &flask, args);
    let json: serde_json::Value =
        serde_json::from_str(&ok(&mut cotter(&["setup", "app", "--json"]))).unwrap();
    let names: Vec<&str> =
        json["trees"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["app", "python"]);
    // `python` is a name that many hosts have and the tree of a set has not.
    let tree = tree("python").display().to_string();
    let script = "import sys, flask; print(sys.prefix); print(sys.path)";
    let said = ok(cotter(&["exec", "app", "--", "python3", "-c", script])
        .env("PYTHONPATH", "/opt/mine:/opt/too"));
    contains(&said, &[&tree, "-app-", "'/opt/mine', '/opt/too'"]);
    // As in a virtual environment, what the user names comes first, and a variable that hides the packages of users hides none.
    assert!(said.rfind("-app-").unwrap() > said.find("/opt/mine").unwrap(), "{said}");
    ok(cotter(&["exec", "app", "--", "python3", "-c", "import flask"])
        .env("PYTHONNOUSERSITE", "1"));
    let said = ok(cotter(&["exec", "--pure", "app", "--", "python3", "-c", script])
        .env("PYTHONPATH", "/opt/mine"));
    assert!(!said.contains("/opt/mine"), "{said}");
    let path = ok(&mut cotter(&["path", "app"]));
    assert_eq!(path.lines().count(), 1, "{path}");
    // Beside its interpreter, a set that is named is listed; of several sets, none is.
    let output = cotter(&["path", "--bin", "app"]).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(listed, format!("{tree}/bin:{}/bin\n", path.trim()));
    contains(
        &String::from_utf8(output.stderr).unwrap(),
        &["the programs of app find their packages only with", "cotter exec app -- COMMAND"],
    );
    let output = cotter(&["path", "--bin"]).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    assert!(listed.contains(&tree) && !listed.contains("-app-"), "{listed}");
    contains(
        &String::from_utf8(output.stderr).unwrap(),
        &["the programs of app, app-2020", "none of them is listed"],
    );
    assert_eq!(ok(&mut cotter(&["path", "--bin", "python"])), format!("{tree}/bin\n"));
    // Without a set, Python sees no packages of the user, and none of a set of an outer session.
    let home = crate::support::Scratch::new();
    let site = ".local/lib/python3.11/site-packages";
    home.write(&format!("{site}/stray.py"), "");
    for outer in [home.join(".local"), path.trim().into()] {
        for pure in [&[][..], &["--pure"]] {
            let script =
                "import importlib.util as u; print(u.find_spec('stray'), u.find_spec('flask'))";
            let args = [&["exec"], pure, &["python", "--", "python3", "-c", script]].concat();
            let said = ok(cotter(&args).env("HOME", home.path()).env("PYTHONUSERBASE", &outer));
            assert_eq!(said, "None None\n");
            let said = ok(cotter(&args).env("HOME", home.path()));
            assert_eq!(said, "None None\n");
        }
    }

    let output = cotter(&["exec", "--", "python3", "-c", "import flask"]).output().unwrap();
    let said = crate::support::text(&output);
    assert!(!output.status.success(), "{said}");
    contains(
        &said,
        &[
            "warning: none of the sets of Python packages app, app-2020 is used",
            "name one, as in `cotter exec app -- COMMAND`",
        ],
    );
    let output = cotter(&["exec", "app", "--", "python3", "-c", "import flask"]).output().unwrap();
    assert_eq!(crate::support::text(&output), "");
}

/// A Python of the host next to a set would find the set's packages, and its hooks would write into the store.
#[test]
fn a_python_of_the_host_does_not_start_beside_a_set() {
    use std::os::unix::fs::PermissionsExt;
    let flask = std::path::Path::new(REPO).join("examples/flask");
    let files = crate::support::Scratch::new();
    let host = files.write("host/python3.9", "#!/bin/sh\necho the host\n");
    std::fs::set_permissions(&host, std::fs::Permissions::from_mode(0o755)).unwrap();
    let run = |args: &[&str]| {
        let mut command =
            in_store(shared_store(), &flask, &[&["exec", "app", "--"], args].concat());
        command.env("PATH", format!("{}:/usr/bin:/bin", files.join("host").display()));
        command.output().unwrap()
    };
    assert_eq!(run(&["python3.9"]).status.code(), Some(127));
    let output = run(&["/bin/sh", "-c", "python3.9"]);
    assert_eq!(output.status.code(), Some(126));
    contains(
        &crate::support::text(&output),
        &["python3.9 is not in the toolchains; [toolchains.python] (", " pins python3.11\n"],
    );
}

#[test]
fn a_cross_compiler_leaves_the_plain_names_to_the_native_one() {
    let cpp = std::path::Path::new(REPO).join("examples/cpp");
    let cross = ok(&mut in_store(shared_store(), &cpp, &["path", "gcc-aarch64"]));
    let native = ok(&mut in_store(shared_store(), &cpp, &["path", "gcc"]));
    let (cross, native) = (cross.trim(), native.trim());
    let script = "set -e; echo 'int main(void) { return 0; }' > x.c; $CC x.c -o native; ./native; \
        $CC_aarch64_unknown_linux_gnu -static x.c -o cross; $CXX_aarch64_unknown_linux_gnu --version; \
        echo CC=$CC CROSS=$CC_aarch64_unknown_linux_gnu AR=$AR_aarch64_unknown_linux_gnu CHECK=$CCACHE_COMPILERCHECK; command -v gcc";
    let work = crate::support::Scratch::new();
    let run = |names: &[&str]| {
        let args = [&["exec"], names, &["--", "/bin/sh", "-c", script]].concat();
        let mut command = in_store(shared_store(), &cpp, &args);
        ok(command.env("COTTER_MANIFEST", cpp.join("toolchains.toml")).current_dir(work.path()))
    };
    for names in [&[][..], &["gcc-aarch64", "gcc"]] {
        let said = run(names);
        contains(
            &said,
            &[
                &format!(
                    "CC={native}/bin/gcc CROSS={cross}/bin/aarch64-linux-gnu-gcc AR={cross}/bin/aarch64-linux-gnu-gcc-ar CHECK=content"
                ),
                &format!("\n{native}/bin/gcc\n"),
            ],
        );
    }
    let built = std::fs::read(work.join("cross")).unwrap();
    assert_eq!(built[18], 183, "the machine of the ELF file is aarch64");
    // Alone, it has the plain names, too.
    let env = in_store(shared_store(), &cpp, &["env", "--json", "gcc-aarch64"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&env.stdout).unwrap();
    assert_eq!(json["set"]["CC"], format!("{cross}/bin/aarch64-linux-gnu-gcc"));
    assert!(std::path::Path::new(json["set"]["LD"].as_str().unwrap()).exists());
}

/// The launchers set the variables of `env`, so that a program has them wherever it is started: in Bazel, too.
#[test]
fn variables_of_the_manifest_reach_programs_without_exec() {
    let manifest = crate::support::template("python");
    let text = format!(
        "{manifest}\n[toolchains.python.env]\nWORDS = \"%R/usr/share/words\"\nPYTHONNOUSERSITE = \"1\"\n"
    );
    let mut project = Project::new(&text);
    project.store = shared_store().to_owned();
    project.ok(&["setup"]);
    let tree: std::path::PathBuf = project.ok(&["path", "python"]).trim().into();
    let script = "import os, sys; print(os.environ['WORDS'], sys.flags.no_user_site)";
    let expected = format!("{}/usr/share/words 1\n", tree.display());
    let mut python = std::process::Command::new(tree.join("bin/python3"));
    let said = ok(python.args(["-c", script]).env_clear().env("WORDS", "of the caller"));
    assert_eq!(said, expected);
    // A script of the tree, and the tree at another path.
    let elsewhere = crate::support::Scratch::new();
    let moved = elsewhere.join("tree");
    ok(std::process::Command::new("cp").arg("-a").arg(&tree).arg(&moved));
    let mut python = std::process::Command::new(moved.join("bin/python3"));
    assert_eq!(
        ok(python.args(["-c", script]).env_clear()),
        format!("{}/usr/share/words 1\n", moved.display())
    );
    assert_eq!(project.ok(&["exec", "--", "python3", "-c", script]), expected);
}

/// A pinned CMake finds the pinned library, and with `--pure` nothing of this machine, which has what it looks for.
#[test]
fn cmake_finds_nothing_of_the_host_with_pure() {
    let manifest = "platforms = [\"x86_64-linux\"]\n[toolchains.gcc]\nkind = \"cc\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"gcc-12\", \"g++-12\"]\n\
        [toolchains.zlib]\nkind = \"library\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"zlib1g-dev\"]\n\
        [toolchains.cmake]\nkind = \"tool\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"cmake\", \"ninja-build\", \"dash\"]\n";
    let mut project = Project::new(manifest);
    project.store = shared_store().to_owned();
    project.scratch.write(
        "project/CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.20)\nproject(x C)\nfind_package(ZLIB)\nfind_package(Git)\nfind_package(Threads)\nfind_program(DPKG dpkg)\nfind_library(M m)\nfind_file(STDIO stdio.h)\n\
         message(STATUS \"zlib=${ZLIB_LIBRARIES}|git=${GIT_EXECUTABLE}|dpkg=${DPKG}|m=${M}|threads=${Threads_FOUND}|stdio=${STDIO}|\")\n",
    );
    let configure = |flags: &[&str], name: &str| {
        let args = [&["exec"], flags, &["--", "cmake", "-G", "Ninja", "-S", ".", "-B", name]];
        project.ok(&args.concat())
    };
    let said = configure(&["--pure"], "pure");
    let store = shared_store().display().to_string();
    contains(&said, &["git=GIT_EXECUTABLE-NOTFOUND|dpkg=DPKG-NOTFOUND|", "|threads=TRUE|"]);
    let line = said.lines().find(|line| line.contains("zlib=")).unwrap();
    for (key, file) in [("zlib=", "libz."), ("m=", "libm.")] {
        let value = line.split(key).nth(1).unwrap().split('|').next().unwrap();
        assert!(value.starts_with(&store) && value.contains(file), "{line}");
    }
    assert!(!line.contains("=/usr/"), "{line}");
    // Without --pure, this machine's programs are found: the test above is not blind.
    contains(&configure(&[], "plain"), &["git=/usr/bin/git|"]);
}
