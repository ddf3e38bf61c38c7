//! `cotter venv`: an ordinary environment of locked packages, for editors and shells. Source: PEP 405 and the module `venv`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fs_err as fs;

use super::setup;
use crate::cli::{Setup, Venv};
use crate::context::{Context, shown};
use crate::error::{Error, Result};
use crate::lockfile;
use crate::manifest::{Kind, no_such_set};
use crate::model::ToolchainName;
use crate::model::site_packages;

/// What a `pyvenv.cfg` of ours holds besides what Python wants.
const MARK: &str = "cotter = ";

/// Runs the command.
///
/// # Errors
/// If there is no such set, or the directory is somebody else's.
pub fn run(args: &Venv, cx: &Context) -> Result<ExitCode> {
    let platform = setup::native_or(None)?;
    let ready = match setup::fresh(&[], platform, cx) {
        Some(trees) => trees,
        None => {
            let all = Setup {
                names: vec![],
                platform: Some(platform),
                allow_expired: false,
                json: false,
            };
            setup::ensure(&all, platform, cx)?.into_iter().map(|r| r.tree).collect()
        }
    };
    let sets = || ready.iter().filter(|t| t.kind == Kind::Packages);
    let set = match &args.name {
        Some(name) => sets()
            .find(|t| t.name == *name)
            .ok_or_else(|| no_such_set(name.as_str(), sets().map(|t| t.name.as_str())))?,
        None => match sets().collect::<Vec<_>>().as_slice() {
            [one] => one,
            [] => {
                return Err(Error::user("the manifest asks for no Python packages")
                    .hint("add [requirements.<name>] to toolchains.toml"));
            }
            many => {
                let names: Vec<&str> = many.iter().map(|t| t.name.as_str()).collect();
                return Err(Error::user("which set of requirements?")
                    .hint(format!("name one of {}", names.join(", "))));
            }
        },
    };
    let lock_path = cx.manifest_path()?.with_file_name(lockfile::FILE_NAME);
    let lock = crate::project::read_lock(&lock_path, cx)?.unwrap_or_default();
    let wanted = lock
        .get(&set.name, platform)
        .and_then(|t| t.plan.requested("python").first())
        .and_then(|n| n.parse::<ToolchainName>().ok());
    let python = ready
        .iter()
        .find(|t| t.kind == Kind::Python && Some(&t.name) == wanted.as_ref())
        .ok_or_else(|| {
            Error::user(format!("the interpreter of {} is not set up", set.name))
                .hint("run `cotter setup`")
        })?;
    let dir = cx.here.join(args.dir.as_deref().unwrap_or(Path::new(".venv")));
    if dir.file_name().is_none() || cx.here.starts_with(&dir) || lock_path.starts_with(&dir) {
        return Err(Error::user(format!("{} can't become an environment", dir.display()))
            .because("the project lies in it")
            .hint("name a directory of its own"));
    }
    if fs::symlink_metadata(&dir).is_ok() && !args.force {
        let ours = fs::read_to_string(dir.join("pyvenv.cfg"))
            .is_ok_and(|t| t.lines().any(|l| l.starts_with(MARK)));
        let empty = fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_none());
        if !ours && !empty {
            return Err(Error::user(format!(
                "{} is there, and cotter did not make it",
                shown(&dir, &cx.here)
            ))
            .hint("name another directory, or say --force to replace it"));
        }
    }
    let (packages, interpreter) =
        (cx.store.path(&set.store_name), cx.store.path(&python.store_name));
    let version = &set.version;
    // Beside its place, then into it: an environment is whole or as it was.
    let parent = dir.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(|e| Error::output("make", parent, e))?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let new = parent.join(format!(".{name}.new-{}", std::process::id()));
    let _ = crate::store::delete_tree(&new);
    let environment = Environment {
        new: &new,
        dir: &dir,
        packages: &packages,
        interpreter: &interpreter,
        version,
        prompt: set.name.as_str(),
        full: &python.version,
    };
    if let Err(e) = environment.lay_out(set.store_name.as_str()) {
        let _ = crate::store::delete_tree(&new);
        return Err(e);
    }
    let old = parent.join(format!(".{name}.old-{}", std::process::id()));
    let there = fs::symlink_metadata(&dir).is_ok();
    if there {
        fs::rename(&dir, &old).map_err(|e| Error::output("replace", &dir, e))?;
    }
    fs::rename(&new, &dir).map_err(|e| Error::output("make", &dir, e))?;
    if there {
        crate::store::delete_tree(&old).map_err(|e| Error::output("delete", &old, e))?;
    }
    cx.reporter.line(&format!(
        "made {} with {} on Python {}",
        shown(&dir, &cx.here),
        set.name,
        python.version
    ));
    cx.reporter.line(&format!("activate it with: . {}/bin/activate", shown(&dir, &cx.here)));
    Ok(ExitCode::SUCCESS)
}

struct Environment<'a> {
    new: &'a Path,
    dir: &'a Path,
    packages: &'a Path,
    interpreter: &'a Path,
    version: &'a str,
    prompt: &'a str,
    full: &'a str,
}

impl Environment<'_> {
    fn lay_out(&self, object: &str) -> Result<()> {
        let at = |e| Error::output("make", self.dir, e);
        fs::create_dir(self.new).map_err(at)?;
        link_files(self.packages, self.new).map_err(at)?;
        let bin = self.new.join("bin");
        fs::create_dir_all(&bin).map_err(at)?;
        fs::create_dir_all(self.new.join(site_packages(self.version))).map_err(at)?;
        fs::create_dir_all(self.new.join("include")).map_err(at)?;
        let _ = fs::remove_file(self.new.join(crate::recipe::PACKAGES_INDEX));
        // A package may bring files of these names, as links to the store's: they give way, and are not written through.
        let link = |target: &Path, name: &str| {
            let _ = fs::remove_file(bin.join(name));
            std::os::unix::fs::symlink(target, bin.join(name))
        };
        link(&self.interpreter.join("bin/python3"), "python").map_err(at)?;
        for name in ["python3".to_owned(), format!("python{}", self.version)] {
            link(Path::new("python"), &name).map_err(at)?;
        }
        let _ = fs::remove_file(self.new.join("lib64"));
        std::os::unix::fs::symlink("lib", self.new.join("lib64")).map_err(at)?;
        let full: String =
            self.full.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let config = format!(
            "home = {}\ninclude-system-site-packages = false\nversion = {full}\nprompt = {}\n{MARK}{object}\n",
            self.interpreter.join("bin").display(),
            self.prompt
        );
        let _ = fs::remove_file(self.new.join("pyvenv.cfg"));
        fs::write(self.new.join("pyvenv.cfg"), config).map_err(at)?;
        self.activate_scripts(&bin).map_err(at)
    }

    /// The scripts of the interpreter's own module `venv`, with their blanks filled in.
    fn activate_scripts(&self, bin: &Path) -> std::io::Result<()> {
        let blanks = [
            ("__VENV_DIR__", self.dir.display().to_string()),
            ("__VENV_NAME__", self.prompt.to_owned()),
            ("__VENV_PROMPT__", format!("({}) ", self.prompt)),
            ("__VENV_BIN_NAME__", "bin".to_owned()),
            ("__VENV_PYTHON__", self.dir.join("bin/python").display().to_string()),
        ];
        let scripts = self.interpreter.join(format!("usr/lib/python{}/venv/scripts", self.version));
        for part in ["common", "posix"] {
            let Ok(entries) = fs::read_dir(scripts.join(part)) else { continue };
            for entry in entries {
                let path = entry?.path();
                let Ok(mut text) = fs::read_to_string(&path) else { continue };
                for (blank, value) in &blanks {
                    // Newer versions of the module quote what they fill in, older ones have the quotes in the script.
                    text = text
                        .replace(&format!("\"{blank}"), &format!("\"{value}"))
                        .replace(blank, &format!("'{}'", value.replace('\'', "'\\''")));
                }
                let script = bin.join(path.file_name().unwrap_or_default());
                let _ = fs::remove_file(&script);
                fs::write(script, text)?;
            }
        }
        Ok(())
    }
}

/// Links every file below `from` to below `to`; copies where no link can be made. Bytecode caches are left to the environment, which may be written.
fn link_files(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut todo: Vec<(PathBuf, PathBuf)> = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = todo.pop() {
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let target = to.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                fs::create_dir(&target)?;
                todo.push((entry.path(), target));
            } else if entry.file_name() != "__pycache__"
                && fs::hard_link(entry.path(), &target).is_err()
            {
                fs::copy(entry.path(), &target)?;
            }
        }
    }
    Ok(())
}
