//! Projects whose only toolchain is built from source, with a compiler, tools and an interpreter that all of them share.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::archive::Tar;
use super::{Project, Scratch, in_store, ok};

/// What the builds are built with.
pub const TOOLS: &str = r#"platforms = ["x86_64-linux"]

[toolchains.gcc]
kind = "cc"
source = "debian"
suite = "bookworm"
packages = ["gcc-12", "libc6-dev"]

[toolchains.tools]
kind = "tool"
source = "debian"
suite = "bookworm"
packages = ["dash", "bash", "coreutils", "make", "sed", "grep", "findutils", "patch"]

[toolchains.python]
kind = "python"
source = "debian"
suite = "bookworm"
packages = ["python3.11"]
"#;

/// The store with the shared toolchains, and their lock. It is kept between runs.
fn shared() -> &'static (PathBuf, String) {
    static SHARED: OnceLock<(PathBuf, String)> = OnceLock::new();
    SHARED.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("builds");
        let (store, project) = (dir.join("store"), dir.join("project"));
        std::fs::create_dir_all(&project).unwrap();
        std::fs::write(project.join("toolchains.toml"), TOOLS).unwrap();
        ok(&mut in_store(&store, &project, &["setup"]));
        (store, std::fs::read_to_string(project.join("toolchains.lock")).unwrap())
    })
}

/// A project with a toolchain `thing`, which is built from source in the shared store. One test at a time has it, so that what a build changes in the store can be seen.
pub struct Building {
    pub project: Project,
    /// The sum of the source.
    sha256: String,
    _alone: MutexGuard<'static, ()>,
}

/// What a manifest says of the toolchain.
pub struct Thing<'a> {
    pub with: &'a str,
    pub steps: &'a [&'a str],
    pub more: &'a str,
}

impl Default for Thing<'_> {
    fn default() -> Self {
        Thing { with: "\"gcc\", \"tools\"", steps: &[], more: "" }
    }
}

/// Installs a program that does nothing.
pub const INSTALL: &str =
    "mkdir -p /out/usr/bin; echo '#!/bin/sh' > /out/usr/bin/thing; chmod 755 /out/usr/bin/thing";

impl Building {
    /// Makes the project. `files` are those of the source.
    pub fn new(files: &[(&str, &str)]) -> Building {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (store, lock) = shared();
        let scratch = Scratch::new();
        let tar = files.iter().fold(Tar::new(), |tar, (name, text)| {
            tar.file(&format!("thing-1.0/{name}"), text.as_bytes())
        });
        let tar = tar.file("thing-1.0/README", b"of the source\n").finish();
        let sha256 = cotter::internals::Digest::of(&tar).to_string();
        scratch.write("thing-1.0.tar", &tar);
        scratch.write("project/toolchains.toml", TOOLS);
        scratch.write("project/toolchains.lock", lock);
        let project = Project { scratch, store: store.clone() };
        Building { project, sha256, _alone: alone }
    }

    /// Writes the manifest.
    pub fn thing(&self, thing: &Thing) {
        self.manifest(thing, &self.sha256);
    }

    /// Writes the manifest, with another sum of the source.
    pub fn manifest(&self, Thing { with, steps, more }: &Thing, sha256: &str) {
        let url = self.project.scratch.join("thing-1.0.tar");
        self.project.manifest(&format!(
            "{TOOLS}\n[toolchains.thing]\nkind = \"tool\"\nsource = \"build\"\nversion = \"1.0\"\nurl = \"file://{}\"\nsha256 = \"{sha256}\"\nwith = [{with}]\nstrip = false\nsteps = {steps:?}\n{more}\n",
            url.display()
        ));
    }

    /// Returns what the store has, without downloads, logs and locks.
    pub fn stored(&self) -> Vec<String> {
        let parts = ["store", "links", "listings", "facts", "builds", "staging", "narinfos"];
        let dirs = parts.map(|part| self.project.store.join(part)).into_iter();
        let mut find = Command::new("find");
        find.args(dirs.filter(|dir| dir.exists()));
        // Work in progress came and went, so the times of directories have changed.
        find.args(["-type", "d", "-printf", "%p %y %m\n", "-o"]);
        find.args(["-printf", "%p %y %m %s %T@ %l\n"]);
        let mut out: Vec<String> = ok(&mut find).lines().map(str::to_owned).collect();
        out.sort();
        out
    }

    /// Checks that the store has the same as before.
    #[track_caller]
    pub fn assert_stored(&self, before: &[String]) {
        let now = self.stored();
        let new: Vec<&String> = now.iter().filter(|line| !before.contains(line)).collect();
        let gone: Vec<&String> = before.iter().filter(|line| !now.contains(line)).collect();
        assert!(new.is_empty() && gone.is_empty(), "new: {new:#?}\ngone: {gone:#?}");
    }
}

impl Drop for Building {
    /// Removes what was built, so that the next test builds it again.
    fn drop(&mut self) {
        for name in super::names(&self.project.store.join("store")) {
            if name.contains("-thing-") {
                let path = self.project.store.join("store").join(name);
                // Its files are those of other trees, too.
                let mut open = Command::new("find");
                open.arg(&path).args(["-type", "d", "-exec", "chmod", "u+w", "{}", "+"]);
                let _ = open.status();
                let _ = Command::new("rm").arg("-rf").arg(path).status();
            }
        }
        let _ = std::fs::remove_dir_all(self.project.store.join("builds"));
    }
}
