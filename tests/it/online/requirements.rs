//! Python packages from an index that the test makes: they are locked, installed, built and refused.

use std::path::Path;
use std::process::Command;

use base64::Engine;

use crate::support::archive::{Tar, gzip, zip};
use crate::support::server::Server;
use crate::support::{Project, REPO, Scratch, contains, in_store, names, ok, shared_store, text};

/// A project with the pinned Python, the pinned uv, and an index of its own.
pub(super) struct Packages {
    pub project: Project,
    pub server: Server,
}

impl Packages {
    /// `set` is the content of `[requirements.app]`.
    pub fn new(set: &str) -> Self {
        let example = Path::new(REPO).join("examples/flask");
        let server = Server::start();
        let packages = Packages { project: Project::new(""), server };
        packages.set(set);
        std::fs::copy(
            example.join("toolchains.lock"),
            packages.project.dir().join("toolchains.lock"),
        )
        .unwrap();
        let store = &packages.project.store;
        for part in ["store", "listings"] {
            std::fs::create_dir_all(store.join(part)).unwrap();
        }
        let lock = std::fs::read_to_string(example.join("toolchains.lock")).unwrap();
        for name in names(&shared_store().join("store"))
            .iter()
            .filter(|n| (n.contains("-python-3.11") || n.contains("-uv-")) && lock.contains(*n))
        {
            // These are copies, because hard links would share their modes with the shared store.
            ok(Command::new("cp")
                .arg("-a")
                .arg(shared_store().join("store").join(name))
                .arg(store.join("store")));
            ok(Command::new("cp")
                .arg("-a")
                .arg(shared_store().join("listings").join(name))
                .arg(store.join("listings")));
        }
        packages
    }

    pub fn set(&self, set: &str) {
        let manifest =
            std::fs::read_to_string(Path::new(REPO).join("examples/flask/toolchains.toml"))
                .unwrap();
        let toolchains = &manifest[manifest.find("[toolchains.python]").unwrap()
            ..manifest.find("[requirements.app]").unwrap()];
        self.project.manifest(&format!(
            "[mirrors]\npython = [\"{}/simple\"]\n{toolchains}\n[requirements.app]\n{set}\n",
            self.server.url
        ));
    }

    pub fn inputs(&self, text: &str) {
        self.project.scratch.write("project/requirements.in", text);
    }

    /// Puts files of a project into the index, each with the attributes of its anchor.
    pub fn publish(&self, project: &str, files: &[(&str, Vec<u8>, &str)]) {
        let mut page = String::new();
        for (name, bytes, attributes) in files {
            self.server.put(&format!("/files/{name}"), bytes.clone());
            page.push_str(&format!(
                "<a href=\"../../files/{name}#sha256={}\" {attributes}>{name}</a>\n",
                cotter::internals::Digest::of(bytes)
            ));
        }
        self.server.put(&format!("/simple/{project}/"), page);
    }

    pub fn publish_wheel(&self, project: &str, version: &str, wheel: Wheel) {
        self.publish(
            project,
            &[(
                &format!("{project}-{version}-py3-none-any.whl"),
                wheel.bytes(project, version),
                "",
            )],
        );
    }

    /// Runs a command that must fail with an exit code and leave the store as it was.
    #[track_caller]
    pub fn refused(&self, code: i32, command: &[&str], said: &[&str]) {
        let before = self.project.stored("store");
        let lock = self.project.lock_text();
        contains(&self.project.fails(code, command), said);
        assert_eq!(self.project.stored("store"), before);
        assert_eq!(self.project.stored("staging"), Vec::<String>::new());
        assert_eq!(self.project.lock_text(), lock);
    }
}

/// The content of a wheel.
#[derive(Default, Clone)]
pub(super) struct Wheel {
    pub requires: Vec<&'static str>,
    members: Vec<(&'static str, &'static str)>,
    /// Members that RECORD does not name, or for which it has a wrong hash.
    pub record: Option<&'static str>,
    /// Members that are executable.
    pub programs: Vec<&'static str>,
}

impl Wheel {
    pub fn of(members: &[(&'static str, &'static str)]) -> Self {
        Wheel { members: members.to_vec(), ..Wheel::default() }
    }

    pub fn needs(mut self, requires: &[&'static str]) -> Self {
        self.requires = requires.to_vec();
        self
    }

    pub fn bytes(&self, project: &str, version: &str) -> Vec<u8> {
        let info = format!("{project}-{version}.dist-info");
        let requires: String =
            self.requires.iter().map(|r| format!("Requires-Dist: {r}\n")).collect();
        let mut members: Vec<(String, String)> =
            self.members.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
        members.push((
            format!("{info}/METADATA"),
            format!("Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n{requires}"),
        ));
        members.push((
            format!("{info}/WHEEL"),
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
                .to_owned(),
        ));
        let hash = |text: &str| {
            base64::engine::general_purpose::URL_SAFE_NO_PAD
                .encode(cotter::internals::Digest::of(text.as_bytes()).as_bytes())
        };
        let mut record: String =
            members.iter().map(|(n, t)| format!("{n},sha256={},{}\n", hash(t), t.len())).collect();
        if let Some(other) = self.record {
            record = other.replace("@RECORD@", &record);
        }
        members.push((format!("{info}/RECORD"), format!("{record}{info}/RECORD,,\n")));
        let list: Vec<(&str, u32, &[u8], u32)> = members
            .iter()
            .map(|(n, t)| {
                let is_program = self.programs.contains(&n.as_str());
                let mode = if is_program { 0o100_755 } else { 0o100_644 };
                (n.as_str(), mode, t.as_bytes(), t.len() as u32)
            })
            .collect();
        zip(&list)
    }
}

/// Puts a library, an application with a script that needs it, and two packages that share a namespace into the index.
pub(super) fn publish_app(packages: &Packages) {
    packages.publish_wheel(
        "lib",
        "1.0",
        Wheel::of(&[
            ("lib/__init__.py", "answer = 42\n"),
            ("lib/__pycache__/x.cpython-311.pyc", "of another machine"),
        ]),
    );
    packages.publish_wheel(
        "app",
        "1.0",
        Wheel::of(&[
            (
                "app.py",
                "import sys, lib\ndef main():\n    print('answer', lib.answer, *sys.argv[1:])\n",
            ),
            ("app-1.0.dist-info/entry_points.txt", "[console_scripts]\nanswer = app:main\n"),
            ("app-1.0.data/scripts/tell", "#!python\nimport lib\nprint('told', lib.answer)\n"),
            ("app-1.0.data/data/share/app/words.txt", "words\n"),
            ("space/one.py", "name = 'one'\n"),
        ])
        .needs(&["lib>=1", "never; sys_platform == 'win32'"]),
    );
    packages.publish_wheel("other", "1.0", Wheel::of(&[("space/two.py", "name = 'two'\n")]));
    packages.publish_wheel("never", "1.0", Wheel::of(&[("never.py", "")]));
}

#[test]
fn a_set_is_locked_installed_and_used() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    publish_app(&packages);
    packages.inputs("App\nother\n");
    let project = &packages.project;
    project.ok(&["lock"]);
    let lock = project.lock_text();
    contains(&lock, &["mirror://python/app/app-1.0-py3-none-any.whl", "requires = [\"lib\"]"]);
    assert!(!lock.contains(&packages.server.url) && !lock.contains("never-1.0"), "{lock}");
    let hashed = std::fs::read_to_string(project.dir().join("requirements-app.txt")).unwrap();
    contains(&hashed, &["app==1.0", "--hash=sha256:", "never==1.0 ; sys_platform == 'win32'"]);
    // A second run, and a run at another path, give the same bytes.
    project.ok(&["lock", "--upgrade", "app"]);
    assert_eq!(project.lock_text(), lock);
    let elsewhere = Project { scratch: Scratch::new(), store: project.store.clone() };
    for name in ["toolchains.toml", "requirements.in"] {
        elsewhere
            .scratch
            .write(&format!("project/{name}"), std::fs::read(project.dir().join(name)).unwrap());
    }
    elsewhere.scratch.write("project/toolchains.lock", &lock);
    elsewhere.ok(&["lock", "--upgrade", "app"]);
    assert_eq!(elsewhere.lock_text(), lock);

    project.ok(&["setup"]);
    let tree: std::path::PathBuf = project.ok(&["path", "app"]).trim().into();
    let site = tree.join("lib/python3.11/site-packages");
    assert!(!site.join("lib/__pycache__").is_dir(), "bytecode of the wheel was left out");
    assert_eq!(std::fs::read_to_string(tree.join("share/app/words.txt")).unwrap(), "words\n");
    let index: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(tree.join("packages.json")).unwrap())
            .unwrap();
    contains(&index["packages"]["other"]["entries"].to_string(), &["site-packages/space/two.py"]);
    contains(&index["packages"]["lib"]["entries"].to_string(), &["site-packages/lib\""]);
    assert_eq!(project.ok(&["exec", "--", "answer", "x"]), "answer 42 x\n");
    assert_eq!(project.ok(&["exec", "--", "tell"]), "told 42\n");
    // A named set brings its interpreter with it.
    assert_eq!(project.ok(&["exec", "--pure", "app", "--", "answer", "x"]), "answer 42 x\n");
    let names = "import space.one, space.two, importlib.metadata as m; print(space.one.name, space.two.name, m.version('app'), len(m.files('app')))";
    assert_eq!(project.ok(&["exec", "--", "python3", "-c", names]), "one two 1.0 10\n");

    // The programs and the packages of an environment work from any directory.
    project.ok(&["venv"]);
    let bin = project.dir().join(".venv/bin");
    assert_eq!(ok(Command::new(bin.join("answer")).env_clear()), "answer 42\n");
    assert_eq!(
        ok(Command::new("sh").arg("-c").arg(format!(". {}/activate && tell", bin.display()))),
        "told 42\n"
    );
    let prefix = ok(Command::new(bin.join("python")).args(["-c", "import sys; print(sys.prefix)"]));
    assert_eq!(Path::new(prefix.trim()), project.dir().join(".venv"));
    project.ok(&["venv", "app"]);
    std::fs::create_dir(project.dir().join("mine")).unwrap();
    project.scratch.write("project/mine/file", "");
    contains(&project.fails(1, &["venv", "app", "mine"]), &["cotter did not make it", "--force"]);
    contains(
        &project.fails(1, &["venv", "app", ".", "--force"]),
        &[
            "can't become an environment",
            "the project or the store lies in it, or it lies in the store",
        ],
    );
    contains(
        &project.fails(1, &["venv", "app", "..", "--force"]),
        &["can't become an environment"],
    );
    project.ok(&["verify", "--deep"]);
}

/// The credentials of an index are used, and they are written nowhere.
#[test]
fn credentials_stay_where_they_are() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    let wheel = Wheel::of(&[("lib.py", "answer = 42\n")]).bytes("lib", "1.0");
    packages.server.put(
        "/private/simple/lib/",
        format!(
            "<a href=\"../../files/lib-1.0-py3-none-any.whl#sha256={}\">x</a>",
            cotter::internals::Digest::of(&wheel)
        ),
    );
    packages.server.put("/private/files/lib-1.0-py3-none-any.whl", wheel);
    packages.inputs("lib\n");
    let project = &packages.project;
    let plain = format!("{}/private/simple", packages.server.url);
    let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    project.manifest(&manifest.replace(&format!("{}/simple", packages.server.url), &plain));
    let without = crate::support::text(&project.cotter(&["lock", "--verbose"]).output().unwrap());
    contains(&without, &["can't lock app"]);
    // The credentials are in netrc, for uv and for the client.
    let netrc = project.scratch.write("netrc", "machine 127.0.0.1 login user password secret\n");
    let said = crate::support::text(
        &project.cotter(&["setup", "--verbose"]).env("NETRC", &netrc).output().unwrap(),
    );
    contains(&project.lock_text(), &["lib-1.0-py3-none-any.whl"]);
    // The credentials are in the address, which is in the environment.
    std::fs::remove_file(project.dir().join("requirements-app.txt")).unwrap();
    let address = plain.replace("http://", "http://user:secret@");
    let again = crate::support::text(
        &project
            .cotter(&["setup", "--verbose"])
            .env("COTTER_MIRROR_PYTHON", &address)
            .output()
            .unwrap(),
    );
    project.ok(&["lock", "--check"]);
    packages.inputs("lib\nnowhere\n");
    let failed = crate::support::text(
        &project
            .cotter(&["lock", "--verbose"])
            .env("COTTER_MIRROR_PYTHON", &address)
            .output()
            .unwrap(),
    );
    contains(&failed, &["can't lock app"]);
    let hashed = std::fs::read_to_string(project.dir().join("requirements-app.txt")).unwrap();
    for text in [&said, &again, &failed, &project.lock_text(), &hashed] {
        assert!(!text.contains("secret"), "{text}");
    }
}

/// Several kinds of files state requirements, and each kind gives the same set.
#[test]
fn every_kind_of_input_is_read() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    publish_app(&packages);
    let project = &packages.project;
    packages.inputs("-r more.in\nother==1.0\n");
    project.scratch.write("project/more.in", "app\n");
    project.ok(&["lock"]);
    let inputs_of = |lock: &str| {
        lock.lines()
            .filter(|l| l.contains("mirror://python/") && !l.contains("/uv/"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let expected = inputs_of(&project.lock_text());
    assert_eq!(expected.len(), 3, "{expected:?}");
    // A change in a file that another file names counts as a change.
    project.scratch.write("project/more.in", "app>=1\n");
    packages.refused(3, &["lock", "--check"], &["more.in"]);

    let pyproject = "[project]\nname = \"own\"\nversion = \"1\"\ndependencies = [\"app\"]\nrequires-python = \">=3.11\"\n\
                     [project.optional-dependencies]\nmore = [\"other\"]\n[dependency-groups]\ndev = [\"other\"]\n";
    project.scratch.write("project/pyproject.toml", pyproject);
    project.ok(&["emit", "pylock", "app", "--output", "pylock.toml", "--frozen"]);
    let uv: std::path::PathBuf = project.ok(&["path", "uv", "--frozen"]).trim().into();
    let python: std::path::PathBuf = project.ok(&["path", "python", "--frozen"]).trim().into();
    project.scratch.write(
        "project/locked/pyproject.toml",
        pyproject.replace("[\"app\"]", "[\"app\", \"other\"]"),
    );
    ok(Command::new(uv.join("bin/uv"))
        .args(["lock", "--quiet", "--no-config", "--python"])
        .arg(python.join("bin/python3"))
        .current_dir(project.dir().join("locked"))
        .env("UV_DEFAULT_INDEX", format!("{}/simple", packages.server.url))
        .env("UV_CACHE_DIR", project.scratch.join("uv-cache")));
    let hashed = project.dir().join("requirements-app.txt");
    std::fs::copy(&hashed, project.dir().join("hashed.txt")).unwrap();
    for set in [
        "inputs = [\"hashed.txt\"]",
        "inputs = [\"pyproject.toml\"]\nextras = [\"more\"]",
        "inputs = [\"pyproject.toml\"]\ngroups = [\"dev\"]",
        "inputs = [\"pylock.toml\"]",
        "inputs = [\"locked/uv.lock\"]",
    ] {
        packages.set(set);
        std::fs::remove_file(&hashed).unwrap();
        project.ok(&["lock"]);
        let found = inputs_of(&project.lock_text());
        assert_eq!(found, expected, "{set}");
    }
}

#[test]
fn versions_are_kept_until_they_are_upgraded() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    publish_app(&packages);
    packages.inputs("lib\n");
    packages.project.ok(&["lock"]);
    let old = Wheel::of(&[
        ("lib/__init__.py", "answer = 42\n"),
        ("lib/__pycache__/x.cpython-311.pyc", "of another machine"),
    ])
    .bytes("lib", "1.0");
    let new = Wheel::of(&[("lib/__init__.py", "answer = 43\n")]).bytes("lib", "2.0");
    packages.publish(
        "lib",
        &[("lib-1.0-py3-none-any.whl", old, ""), ("lib-2.0-py3-none-any.whl", new, "")],
    );
    packages.inputs("lib\nother\n");
    packages.refused(3, &["lock", "--check"], &["app for x86_64-linux", "requirements.in"]);
    packages.refused(3, &["setup", "--locked"], &["requirements.in", "cotter lock"]);
    packages.project.ok(&["setup"]);
    contains(&packages.project.lock_text(), &["lib-1.0", "other-1.0"]);
    contains(&packages.project.ok(&["lock", "--check"]), &["fits"]);
    // The shortcut of a setup with nothing to do checks the file of requirements, too.
    packages.inputs("lib\n");
    packages.refused(3, &["setup", "--locked"], &["requirements.in"]);
    packages.inputs("lib\nother\n");
    let said = crate::support::text(
        &packages.project.cotter(&["lock", "--upgrade", "app"]).output().unwrap(),
    );
    contains(&said, &["+ lib-2.0-py3-none-any.whl", "- lib-1.0-py3-none-any.whl"]);
    // Somebody edited the generated file.
    let file = packages.project.dir().join("requirements-app.txt");
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap().replace("2.0", "1.0")).unwrap();
    packages.refused(3, &["lock", "--check"], &["requirements-app.txt"]);
}

/// A repository names the file that is written, and must not thereby replace any other.
#[test]
fn only_a_file_that_cotter_wrote_is_replaced() {
    let packages = Packages::new("inputs = [\"requirements.in\"]\noutput = \".bazelrc\"");
    publish_app(&packages);
    packages.inputs("app\n");
    let (dir, own) = (packages.project.dir(), "build --own\n");
    packages.project.scratch.write("project/.bazelrc", own);
    packages.refused(
        1,
        &["lock"],
        &[".bazelrc is there, and cotter did not write it", "toolchains.toml:", "output = "],
    );
    assert_eq!(std::fs::read_to_string(dir.join(".bazelrc")).unwrap(), own);
    packages.set("inputs = [\"requirements.in\"]\noutput = \"a/.git/hooks/post-checkout\"");
    packages.refused(1, &["lock"], &["expected a file outside of .git"]);
    assert!(!dir.join("a").exists());
    packages.set("inputs = [\"requirements.in\"]\noutput = \"pins.txt\"");
    packages.project.scratch.write("project/pins.txt", "\n");
    packages.project.ok(&["lock"]);
    let good = std::fs::read_to_string(dir.join("pins.txt")).unwrap();
    let lock = packages.project.lock_text();

    // What git could not merge is made anew, with the versions of the first side.
    let head = "<<<<<<< HEAD\n";
    for merged in [
        good.replacen("app==", &format!("{head}app=="), 1) + "=======\nother==1\n>>>>>>> theirs\n",
        format!("{head}{good}=======\n{}>>>>>>> theirs\n", good.replace("1.0", "0.9")),
    ] {
        let line = 1 + merged.lines().position(|line| line.starts_with("<<<<<<< ")).unwrap();
        packages.project.scratch.write("project/pins.txt", &merged);
        for check in [&["lock", "--check"][..], &["setup", "--locked"]] {
            packages.refused(
                3,
                check,
                &[
                    &format!("pins.txt with merge conflict markers from line {line} on"),
                    "cotter lock",
                ],
            );
        }
        let said = text(&packages.project.cotter(&["lock"]).output().unwrap());
        contains(
            &said,
            &[&format!("pins.txt:{line} holds merge conflict markers: the file is made anew")],
        );
        assert_eq!(std::fs::read_to_string(dir.join("pins.txt")).unwrap(), good);
        assert_eq!(packages.project.lock_text(), lock);
    }
    // The same for a lock, and for both at once.
    let merged = format!("{head}{lock}=======\nversion = 2\n>>>>>>> theirs\n");
    packages.project.scratch.write("project/toolchains.lock", &merged);
    packages.project.scratch.write("project/pins.txt", format!("{head}{good}=======\n>>>>>>> a\n"));
    packages.refused(3, &["setup", "--locked"], &["toolchains.lock:1", "run `cotter lock`"]);
    packages.project.ok(&["lock"]);
    assert_eq!(std::fs::read_to_string(dir.join("pins.txt")).unwrap(), good);
    assert_eq!(packages.project.lock_text(), lock);
}

/// A list may require nothing yet, or nothing on a platform.
#[test]
fn a_set_may_be_empty() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    publish_app(&packages);
    let project = &packages.project;
    for inputs in ["", "# nothing yet\n", "never ; sys_platform == 'win32'\n"] {
        packages.inputs(inputs);
        packages.set("inputs = [\"requirements.in\"]");
        project.ok(&["setup"]);
        let hashed = std::fs::read_to_string(project.dir().join("requirements-app.txt")).unwrap();
        assert_eq!(hashed.contains("never=="), inputs.contains("never"), "{hashed}");
        assert!(hashed.starts_with("# This file was autogenerated"), "{hashed}");
        project.ok(&["lock", "--check"]);
        project.ok(&["setup", "--locked"]);
        let said = project.ok(&[
            "exec",
            "app",
            "--",
            "python3",
            "-c",
            "import sys; print(sys.version_info.major)",
        ]);
        assert_eq!(said, "3\n");
        project.ok(&["venv", "app"]);
        contains(&project.ok(&["emit", "pylock", "app"]), &["lock-version"]);
        project.ok(&["emit", "bazel"]);
        project.ok(&["verify", "--deep"]);
        project.ok(&["list"]);
    }
    packages.inputs("app\n");
    packages.set("inputs = [\"requirements.in\"]\nbuild = [\n\"lip\", \"*\"]\nbuild_requires = []");
    let said = text(&project.cotter(&["lock"]).output().unwrap());
    let manifest = std::fs::read_to_string(project.dir().join("toolchains.toml")).unwrap();
    let line = 1 + manifest.lines().position(|line| line.starts_with("\"lip\"")).unwrap();
    contains(
        &said,
        &[&format!(
            "toolchains.toml:{line}:1: `build` names \"lip\", which [requirements.app] does not hold; there is lib"
        )],
    );
    assert_eq!(said.matches("`build` names").count(), 1, "{said}");
}

#[test]
fn what_cannot_be_met_is_told() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    publish_app(&packages);
    packages.refused(1, &["lock"], &["requirements.in"]);
    packages.inputs("app\nlib<1\n");
    packages.refused(1, &["lock"], &["uv can't resolve [requirements.app]", "lib<1"]);
    packages.inputs("nowhere\n");
    packages.refused(1, &["lock"], &["uv can't resolve", "nowhere"]);
    // There is no wheel for this platform and no source to build it from.
    let wheel = Wheel::of(&[("win.py", "")]).bytes("win", "1.0");
    packages.publish("win", &[("win-1.0-cp311-cp311-win_amd64.whl", wheel, "")]);
    packages.inputs("win\n");
    packages.refused(1, &["lock"], &["win"]);
    // The glibc of the interpreter's tree is 2.36.
    let wheel = Wheel::of(&[("new.py", "")]).bytes("new", "1.0");
    packages.publish("new", &[("new-1.0-cp311-cp311-manylinux_2_39_x86_64.whl", wheel, "")]);
    packages.inputs("new\n");
    packages.refused(1, &["lock"], &["new", "manylinux_2_39_x86_64"]);
    // A withdrawn version that is requested by name gives a warning.
    let wheel = Wheel::of(&[("gone.py", "")]).bytes("gone", "1.0");
    packages.publish("gone", &[("gone-1.0-py3-none-any.whl", wheel, "data-yanked=\"it broke\"")]);
    packages.inputs("gone\n");
    packages.refused(1, &["lock"], &["gone"]);
    packages.inputs("gone==1.0\n");
    contains(
        &text(&packages.project.cotter(&["lock"]).output().unwrap()),
        &["warning:", "gone==1.0", "yanked", "it broke"],
    );
}

/// If uv cannot do something, its own words are printed as one block, with the line of the manifest and a way that works.
#[test]
fn failures_of_uv_have_their_place_and_a_way_out() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    publish_app(&packages);
    let manifest = std::fs::read_to_string(packages.project.dir().join("toolchains.toml")).unwrap();
    let line = manifest.lines().position(|l| l.starts_with("inputs")).unwrap() + 1;
    let at = format!("at: toolchains.toml:{line}:11");
    // One file does not exist, and neither does one that another file names.
    packages.refused(1, &["lock"], &[&at, "can't read requirements.in"]);
    packages.inputs("app\n-r more.in\n");
    packages.refused(1, &["lock"], &[&at, "can't read more.in", "requirements.in names it"]);
    // The required versions contradict each other.
    packages.inputs("app\nlib<1\n");
    packages.refused(
        1,
        &["lock"],
        &[
            &at,
            "uv can't resolve [requirements.app]",
            "caused by: uv says:\n    No solution found when resolving dependencies\n      cause: Because ",
            "hint: change the requirements",
        ],
    );
    // The file is not a list of requirements at all.
    packages.inputs("li b ==\n");
    packages.refused(1, &["lock"], &[&at, "uv says:", "requirements.in"]);
    // The package exists only as source.
    packages.publish("src", &[("src-1.0.tar.gz", sdist("def seen():\n    return 1\n"), "")]);
    packages.inputs("src\n");
    packages.refused(1, &["lock"], &[&at, "build = [\"src\"] in [requirements.app]"]);
    let said = packages.project.fails(1, &["lock"]);
    assert!(!said.contains("--no-build"), "a flag that nobody can give: {said}");
    // The requirement names a repository instead of a release.
    packages.inputs("app\nclick @ git+https://user:secret@git.example/click.git\n");
    packages.refused(
        1,
        &["lock"],
        &[
            "at: requirements.in:2:1",
            "requirements.in names a repository in place of a release",
            "got \"click @ git+https://git.example/click.git\"",
            "git would be needed",
            "name a release",
        ],
    );
    assert!(!packages.project.fails(1, &["lock"]).contains("secret"));
    // A failed request is a fault of the network, and so is a file that is missing with --offline.
    packages.inputs("absent-from-the-cache\n");
    packages.refused(5, &["lock", "--offline"], &["with --offline", "once without --offline"]);
    // The same is true of a file that the index lists and does not serve.
    packages.server.put(
        "/simple/listed/",
        "<a href=\"../../files/listed-1.0-py3-none-any.whl\">listed-1.0-py3-none-any.whl</a>",
    );
    packages.inputs("listed\n");
    packages.refused(
        5,
        &["lock"],
        &["uv can't ask the package index", "listed-1.0-py3-none-any.whl"],
    );
    packages.inputs("app\n");
    packages.project.manifest(&manifest.replace(&packages.server.url, "http://127.0.0.1:9"));
    packages.refused(5, &["lock"], &["uv can't ask the package index", "uv says:"]);
}

#[test]
fn lies_and_hostile_wheels_are_refused() {
    let packages = Packages::new("inputs = [\"requirements.txt\"]");
    let require =
        |text: String| drop(packages.project.scratch.write("project/requirements.txt", text));
    let good = Wheel::of(&[("lib.py", "answer = 42\n")]);
    // The file has another hash than the requirements demand.
    packages.publish_wheel("lib", "1.0", good.clone());
    require(format!("lib==1.0 --hash=sha256:{}\n", "0".repeat(64)));
    packages.refused(
        4,
        &["lock"],
        &["lib-1.0-py3-none-any.whl has another hash than the requirements demand"],
    );
    // After uv has read the index, the index serves other bytes.
    require("lib==1.0\n".to_owned());
    packages.server.put("/simple/lib/", format!("<a href=\"../../files/lib-1.0-py3-none-any.whl#sha256={}\">lib-1.0-py3-none-any.whl</a>", "0".repeat(64)));
    packages.refused(4, &["lock"], &["is not the file that its index lists"]);
    // The content of the wheel does not match its RECORD.
    let refusals: [(Wheel, &str); 8] = [
        (
            Wheel { record: Some("@RECORD@extra.py,,\n"), ..good.clone() },
            "its RECORD names extra.py, which it does not hold",
        ),
        (Wheel { record: Some(""), ..good.clone() }, "which its RECORD does not name"),
        (
            Wheel { record: Some("@RECORD@lib.py,sha256=AAAA,12\n"), ..good.clone() },
            "lib.py is not what its RECORD says",
        ),
        (Wheel::of(&[("../escape.py", "")]), "escape.py"),
        (Wheel::of(&[("/etc/passwd", "")]), "etc/passwd"),
        (Wheel::of(&[("lib-1.0.data/root/x", "")]), "installation scheme"),
        (
            Wheel::of(&[(
                "bad6-1.0.dist-info/entry_points.txt",
                "[console_scripts]\n../x = a:b\n",
            )]),
            "its script \"../x\"",
        ),
        (
            Wheel::of(&[("bad7-1.0.dist-info/entry_points.txt", "[console_scripts]\nx = a;b:c\n")]),
            "its script \"x\"",
        ),
    ];
    for (number, (wheel, said)) in refusals.into_iter().enumerate() {
        let name = format!("bad{number}");
        packages.publish_wheel(
            &name,
            "1.0",
            Wheel {
                members: wheel
                    .members
                    .iter()
                    .map(|(n, t)| {
                        (
                            if n.starts_with("lib-1.0.data") { "bad5-1.0.data/root/x" } else { *n },
                            *t,
                        )
                    })
                    .collect(),
                ..wheel
            },
        );
        require(format!("{name}==1.0\n"));
        packages.refused(4, &["lock"], &[&format!("{name}-1.0-py3-none-any.whl"), said]);
    }
    // Two packages have the same file.
    packages.publish_wheel("one", "1.0", Wheel::of(&[("same.py", "1\n")]));
    packages.publish_wheel("two", "1.0", Wheel::of(&[("same.py", "2\n")]));
    require("one\ntwo\n".to_owned());
    packages.refused(
        6,
        &["lock"],
        &[
            "two inputs hold lib/python3.11/site-packages/same.py with different content",
            "`prune` in [requirements.app]",
        ],
    );
    // The file changed after it was locked.
    packages.publish_wheel("late", "1.0", good.clone());
    require("late\n".to_owned());
    packages.project.ok(&["lock"]);
    let tree: std::path::PathBuf = packages.project.ok(&["path", "app"]).trim().into();
    ok(Command::new("chmod").arg("-R").arg("u+w").arg(&tree));
    std::fs::remove_dir_all(&tree).unwrap();
    std::fs::remove_dir_all(packages.project.store.join("inputs")).unwrap();
    packages.server.put(
        "/files/late-1.0-py3-none-any.whl",
        Wheel::of(&[("lib.py", "answer = 43\n")]).bytes("late", "1.0"),
    );
    packages.refused(
        4,
        &["setup", "--locked"],
        &["late-1.0-py3-none-any.whl is not the file that was locked"],
    );
}

/// Returns a build backend whose wheel contains the value of the function `seen` of the code `backend`.
pub(super) fn backend(backend: &str) -> String {
    format!(
        "import os, zipfile\n{backend}\ndef build_wheel(directory, config_settings=None, metadata_directory=None):\n    name = 'src-1.0-py3-none-any.whl'\n    \
         files = {{'src.py': 'seen = ' + repr(seen()) + '\\n', 'src-1.0.dist-info/METADATA': 'Metadata-Version: 2.1\\nName: src\\nVersion: 1.0\\n', 'src-1.0.dist-info/WHEEL': 'Wheel-Version: 1.0\\nTag: py3-none-any\\n'}}\n    \
         import base64, hashlib\n    record = ''.join(f'{{n}},sha256={{base64.urlsafe_b64encode(hashlib.sha256(t.encode()).digest()).decode().rstrip(chr(61))}},{{len(t)}}\\n' for n, t in files.items())\n    \
         with zipfile.ZipFile(os.path.join(directory, name), 'w') as wheel:\n        for n, t in {{**files, 'src-1.0.dist-info/RECORD': record + 'src-1.0.dist-info/RECORD,,\\n'}}.items():\n            wheel.writestr(zipfile.ZipInfo(n), t)\n    return name\n"
    )
}

/// Returns a source distribution whose build makes a wheel from what it sees.
pub(super) fn sdist(code: &str) -> Vec<u8> {
    let backend = backend(code);
    let tar = Tar::new()
        .file("src-1.0/PKG-INFO", b"Metadata-Version: 2.2\nName: src\nVersion: 1.0\n")
        .file(
            "src-1.0/pyproject.toml",
            b"[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n[project]\nname = \"src\"\nversion = \"1.0\"\n",
        )
        .file("src-1.0/backend.py", backend.as_bytes());
    gzip(&tar.finish())
}

#[test]
fn source_is_built_in_a_sandbox_and_the_wheel_is_compared() {
    let packages =
        Packages::new("inputs = [\"requirements.in\"]\nbuild = [\"src\"]\nbuild_requires = []");
    packages.inputs("src\n");
    let looks = "import socket\ndef seen():\n    try:\n        socket.create_connection(('127.0.0.1', @PORT@), 2)\n        network = True\n    except OSError:\n        network = False\n    \
                 return [sorted(os.listdir('/')), network, os.getcwd(), os.environ.get('SOURCE_DATE_EPOCH'), os.getuid() == 0, os.environ.get('SECRET')]\n";
    let port = packages.server.url.rsplit(':').next().unwrap().to_owned();
    packages.publish("src", &[("src-1.0.tar.gz", sdist(&looks.replace("@PORT@", &port)), "")]);
    ok(packages.project.cotter(&["setup"]).env("SECRET", "of the caller"));
    let seen = packages.project.ok(&["exec", "--", "python3", "-c", "import src; print(src.seen)"]);
    assert_eq!(
        seen,
        "[['build', 'cotter', 'dev', 'proc', 'tmp'], False, '/build/source', '315532800', False, None]\n"
    );
    contains(
        &packages.project.lock_text(),
        &["mirror://python/src/src-1.0.tar.gz", "built = { file = \"src-1.0-py3-none-any.whl\""],
    );
    // Without permission to build it, it is refused, and the message contains the line to add.
    packages.set("inputs = [\"requirements.in\"]");
    packages.refused(1, &["lock"], &["src"]);

    // This build gives other bytes each time. After it was locked, the difference is detected when it is built again.
    let packages =
        Packages::new("inputs = [\"requirements.in\"]\nbuild = [\"src\"]\nbuild_requires = []");
    packages.inputs("src\n");
    packages.publish(
        "src",
        &[("src-1.0.tar.gz", sdist("def seen():\n    return os.urandom(8).hex()\n"), "")],
    );
    packages.project.ok(&["lock"]);
    let tree: std::path::PathBuf = packages.project.ok(&["path", "app"]).trim().into();
    ok(Command::new("chmod").arg("-R").arg("u+w").arg(&tree));
    std::fs::remove_dir_all(&tree).unwrap();
    std::fs::remove_dir_all(packages.project.store.join("inputs")).unwrap();
    packages.refused(
        4,
        &["setup", "--locked"],
        &["the wheel built of src-1.0.tar.gz is not the one that was locked", "not reproducible"],
    );
    // This build leaves a link in the place of a wheel.
    let link = "def seen():\n    os.symlink('/etc/passwd', '/build/wheel/src-1.0-py3-none-any.whl')\n    raise SystemExit(0)\n";
    packages.publish("src", &[("src-1.0.tar.gz", sdist(link), "")]);
    contains(
        &packages.project.fails(6, &["lock", "--upgrade", "app"]),
        &["was to make one wheel of src"],
    );
    // The message of a build that fails contains the output of the build.
    packages
        .publish("src", &[("src-1.0.tar.gz", sdist("raise ImportError('no cmake here')\n"), "")]);
    let said = packages.project.fails(6, &["lock", "--upgrade", "app"]);
    contains(&said, &["can't build a wheel of src-1.0.tar.gz", "no cmake here", "build_requires"]);
}

/// The list of what builds import is a file of cotter's own: it lies beside the store, which may lie
/// anywhere.
#[test]
fn what_builds_import_is_locked_if_the_store_is_outside_of_the_checkout() {
    let packages = Packages::new(
        "inputs = [\"requirements.in\"]\nbuild = [\"src\"]\nbuild_requires = [\"lib\"]",
    );
    assert!(!packages.project.store.starts_with(packages.project.dir()));
    packages.publish_wheel("lib", "1.0", Wheel::of(&[("lib.py", "answer = 42\n")]));
    packages.publish(
        "src",
        &[("src-1.0.tar.gz", sdist("import lib\ndef seen():\n    return lib.answer\n"), "")],
    );
    packages.inputs("src\n");
    packages.project.ok(&["lock"]);
    contains(&packages.project.lock_text(), &["app-build", "lib-1.0-py3-none-any.whl"]);
    let seen = packages.project.ok(&["exec", "--", "python3", "-c", "import src; print(src.seen)"]);
    assert_eq!(seen, "42\n");
    // A file that this list would name is still none of the checkout.
    let outside = packages.project.scratch.write("outside.txt", "lib\n");
    let set = format!(
        "inputs = [\"requirements.in\"]\nbuild = [\"src\"]\nbuild_requires = [\"-r {}\"]",
        outside.display()
    );
    packages.set(&set);
    packages.refused(1, &["lock"], &["outside.txt", "does not lie in the checkout"]);
}

/// pip accepts the hashed requirements as they are, and uv accepts the exported pylock.toml.
#[test]
fn pip_and_uv_read_what_is_written() {
    let example = Path::new(REPO).join("examples/flask");
    let scratch = Scratch::new();
    let tree = |name: &str| -> std::path::PathBuf {
        ok(&mut in_store(shared_store(), &example, &["path", name])).trim().into()
    };
    let mut pip = Command::new(tree("python").join("bin/pip3"));
    crate::support::clean(&mut pip, scratch.path());
    pip.args(["install", "--quiet", "--require-hashes", "--only-binary", ":all:", "--target"])
        .arg(scratch.join("pip"))
        .arg("-r")
        .arg(example.join("requirements-app.txt"));
    ok(&mut pip);
    assert!(scratch.join("pip/flask/app.py").exists());

    let pylock = scratch.join("pylock.toml");
    ok(in_store(shared_store(), &example, &["emit", "pylock", "app", "--output"]).arg(&pylock));
    let mut uv = Command::new(tree("uv").join("bin/uv"));
    crate::support::clean(&mut uv, scratch.path());
    uv.args(["pip", "install", "--quiet", "--no-config", "--python"])
        .arg(tree("python").join("bin/python3"))
        .arg("--target")
        .arg(scratch.join("uv"))
        .arg("-r")
        .arg(&pylock);
    ok(&mut uv);
    // Both installed the packages of the tree.
    let installed = |dir: &Path| {
        names(dir).into_iter().filter(|n| n.ends_with(".dist-info")).collect::<Vec<_>>()
    };
    let own = installed(&tree("app").join("lib/python3.11/site-packages"));
    assert_eq!(installed(&scratch.join("pip")), own);
    assert_eq!(installed(&scratch.join("uv")), own);
}

/// More than sixty packages, many of them with native code, are imported one by one where nothing of the machine exists.
#[test]
fn many_packages_import_in_an_empty_jail() {
    let many = Path::new(REPO).join("tests/python/many");
    ok(&mut in_store(shared_store(), &many, &["setup", "--locked"]));
    let tree = |name: &str| -> std::path::PathBuf {
        ok(&mut in_store(shared_store(), &many, &["path", name])).trim().into()
    };
    let (packages, python) = (tree("many"), tree("python"));
    let mut jail = Command::new("bwrap");
    jail.args([
        "--unshare-all",
        "--die-with-parent",
        "--clearenv",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
        "--setenv",
        "HOME",
        "/tmp",
        "--ro-bind",
    ]);
    jail.arg(shared_store())
        .arg("/s")
        .arg("--ro-bind")
        .arg(Path::new(REPO).join("tests/python"))
        .arg("/t");
    let inside = |path: &Path| format!("/s/store/{}", path.file_name().unwrap().to_string_lossy());
    jail.args(["--setenv", "PYTHONUSERBASE", &inside(&packages)]);
    jail.args([
        &format!("{}/bin/python3", inside(&python)),
        "/t/import_all.py",
        &inside(&packages),
    ]);
    let said = ok(&mut jail);
    let count: usize =
        said.split(" modules of ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(count >= 60, "{said}");
}

/// Returns the example with the pins of 2020, one of which is built from source, and a store that has only the downloads.
fn flask_with_downloads() -> (Scratch, std::path::PathBuf) {
    let scratch = Scratch::new();
    let project = scratch.join("project");
    crate::support::bazel::copy_dir(&Path::new(REPO).join("examples/flask"), &project);
    std::fs::create_dir_all(scratch.join("store/inputs")).unwrap();
    ok(Command::new("cp")
        .args(["-rlT"])
        .arg(shared_store().join("inputs"))
        .arg(scratch.join("store/inputs")));
    (scratch, project)
}

/// Two setups of one store that need the trees in different orders do not wait for each other.
#[test]
fn two_setups_of_one_store_end() {
    let (scratch, project) = flask_with_downloads();
    let store = scratch.join("store");
    // Both of them must build its wheel.
    let lock = std::fs::read_to_string(project.join("toolchains.lock")).unwrap();
    let built = lock.split("built = {").nth(1).unwrap().split("sha256 = \"").nth(1).unwrap();
    let _ = std::fs::remove_file(store.join("inputs").join(&built[..64]));
    let start = |args: &[&str]| in_store(&store, &project, args).spawn().unwrap();
    let mut both = [start(&["setup", "--frozen"]), {
        std::thread::sleep(std::time::Duration::from_millis(150));
        start(&["setup", "--frozen", "app-2020"])
    }];
    let begin = std::time::Instant::now();
    let mut ended = [None, None];
    while ended.contains(&None) {
        for (child, end) in both.iter_mut().zip(&mut ended) {
            *end = child.try_wait().unwrap();
        }
        if begin.elapsed().as_secs() > 300 {
            both.iter_mut().for_each(|child| drop(child.kill()));
            panic!("they wait for each other: {ended:?}");
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(ended.iter().all(|end| end.unwrap().success()), "{ended:?}");
    ok(&mut in_store(&store, &project, &["verify", "--deep"]));
}

/// A broken interpreter is made again before the trees that are built with it, and an environment shares no file with the store.
#[test]
fn a_repair_uses_nothing_that_is_broken() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let (scratch, project) = flask_with_downloads();
    let store = scratch.join("store");
    let run = |args: &[&str]| ok(&mut in_store(&store, &project, args));
    run(&["setup", "--frozen"]);
    let path = |name: &str| -> std::path::PathBuf { run(&["path", name]).trim().into() };
    let (python, app) = (path("python"), path("app-2020"));
    run(&["venv", "app-2020"]);
    let mut todo = vec![project.join(".venv")];
    let mut count = 0;
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                todo.push(path);
            } else if meta.is_file() {
                assert_eq!(meta.nlink(), 1, "{}", path.display());
                assert_ne!(meta.mode() & 0o200, 0, "{} can't be edited", path.display());
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count} files");
    // The interpreter cannot even start, and the wheel must be built again.
    let damage = |file: std::path::PathBuf| {
        let real = file.canonicalize().unwrap();
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(&real, "damaged").unwrap();
    };
    damage(python.join("bin/python3"));
    let module = std::fs::read_dir(app.join("lib/python3.11/site-packages/markupsafe")).unwrap();
    damage(
        module
            .map(|e| e.unwrap().path())
            .find(|p| p.extension().is_some_and(|e| e == "so"))
            .unwrap(),
    );
    let lock = std::fs::read_to_string(project.join("toolchains.lock")).unwrap();
    let built = lock.split("built = {").nth(1).unwrap().split("sha256 = \"").nth(1).unwrap();
    std::fs::remove_file(store.join("inputs").join(&built[..64])).unwrap();
    run(&["verify", "--deep", "--repair"]);
    run(&["verify", "--deep"]);
    let said = run(&[
        "exec",
        "python",
        "app-2020",
        "--",
        "python3",
        "-c",
        "import markupsafe._speedups as s; print(s.__name__)",
    ]);
    contains(&said, &["markupsafe._speedups"]);
}

/// An environment leads its packages to the certificates and the plugins of the library trees with which they may have been built. What the user selected stays.
#[test]
fn an_environment_knows_what_its_libraries_need() {
    let scratch = Scratch::new();
    let project = scratch.join("project");
    crate::support::bazel::copy_dir(&Path::new(REPO).join("examples/flask"), &project);
    let manifest = std::fs::read_to_string(project.join("toolchains.toml")).unwrap();
    let manifest = manifest.replace(
        "[requirements.app]\n",
        "[requirements.app]\nbuild_tools = [\"gcc\", \"openssl\"]\n",
    );
    let openssl = "\n[toolchains.openssl]\nkind = \"library\"\nsource = \"debian\"\nsuite = \"bookworm\"\npackages = [\"libssl-dev\", \"ca-certificates\"]\n";
    std::fs::write(project.join("toolchains.toml"), manifest + openssl).unwrap();
    let store = shared_store();
    ok(&mut in_store(store, &project, &["setup"]));
    ok(&mut in_store(store, &project, &["venv", "app"]));
    ok(&mut in_store(store, &project, &["venv", "app-2020", "other"]));
    let tree = ok(&mut in_store(store, &project, &["path", "openssl"]));
    let tell = "import os; print(os.environ.get('SSL_CERT_FILE'), os.environ.get('SSL_CERT_DIR'), os.environ.get('OPENSSL_MODULES'))";
    let told = |environment: &str, own: &[(&str, &str)]| {
        let mut command = Command::new(project.join(environment).join("bin/python"));
        ok(command.args(["-c", tell]).env_clear().envs(own.iter().copied()))
    };
    let tree = tree.trim();
    let modules = format!("{tree}/usr/lib/x86_64-linux-gnu/ossl-modules");
    let certificates = format!("{tree}/etc/ssl/certs");
    assert_eq!(
        told(".venv", &[]),
        format!("{certificates}/ca-certificates.crt {certificates} {modules}\n")
    );
    assert_eq!(told(".venv", &[("SSL_CERT_DIR", "/mine")]), format!("None /mine {modules}\n"));
    assert_eq!(told("other", &[]), "None None None\n");
}

/// Whatever fails while an environment is made, the next run makes it.
#[test]
fn failing_calls_do_an_environment_no_lasting_harm() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    publish_app(&packages);
    packages.inputs("app\n");
    packages.project.ok(&["setup"]);
    packages.project.ok(&["venv"]);
    std::fs::write(packages.project.dir().join(".venv/left.txt"), "of the one before").unwrap();
    let Packages { project, server: _server } = packages;
    crate::injected::Scenario::new("venv", &["venv", "app"], project).disturb(false);
}

/// What a developer does from day to day: newer releases, other line ends, an environment that has become old, a lock that does not fit yet.
#[test]
fn days_with_a_set() {
    let packages = Packages::new("inputs = [\"requirements.in\"]");
    publish_app(&packages);
    let project = &packages.project;
    packages.inputs("# ours\nlib\n");
    project.ok(&["setup"]);
    project.ok(&["venv"]);
    assert_eq!(std::fs::read_to_string(project.dir().join(".venv/.gitignore")).unwrap(), "*\n");
    let said = text(&project.cotter(&["setup"]).output().unwrap());
    assert!(!said.contains(".venv"), "{said}");
    // Git has checked the lists out with the line ends of Windows.
    packages.inputs("# ours\r\nlib\r\n");
    let output = project.dir().join("requirements-app.txt");
    let written = std::fs::read_to_string(&output).unwrap();
    std::fs::write(&output, written.replace('\n', "\r\n")).unwrap();
    project.ok(&["lock", "--check"]);
    std::fs::write(&output, written).unwrap();
    packages.inputs("# ours\nlib\n");
    // A release of this minute.
    let wheel = Wheel::of(&[("lib.py", "answer = 43\n")]).bytes("lib", "1.1");
    packages.publish("lib", &[("lib-1.1-py3-none-any.whl", wheel, "")]);
    contains(&project.ok(&["outdated", "app"]), &["1.1"]);
    project.ok(&["lock", "--upgrade", "app"]);
    contains(&project.lock_text(), &["lib-1.1-py3-none-any.whl"]);
    let said = text(&project.cotter(&["setup"]).output().unwrap());
    contains(&said, &[".venv has other packages than the lock: run `cotter venv`"]);
    project.ok(&["venv"]);
    let said = text(&project.cotter(&["setup"]).output().unwrap());
    assert!(!said.contains(".venv"), "{said}");
    // Programs of entries that fit start, though others are stale, and that is told.
    packages.inputs("lib\nno-such-project\n");
    let run = project.cotter(&["exec", "uv", "python", "--", "uv", "--version"]).output().unwrap();
    assert!(run.status.success(), "{}", text(&run));
    contains(&text(&run), &["toolchains.lock does not fit the manifest: app", "uv "]);
    packages.refused(1, &["exec", "--", "uv", "--version"], &["no-such-project"]);
    packages.refused(3, &["--locked", "exec", "uv", "--", "uv", "--version"], &["app"]);
}
