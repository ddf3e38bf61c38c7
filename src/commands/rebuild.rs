//! `cotter rebuild`

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use fs_err as fs;
use serde_json::json;

use super::lock_of_project::AskedTrees;
use super::rebuilt::{Rows, told};
use super::{count, must_be_writable, print, print_json, sweep};
use crate::cli::Rebuild;
use crate::context::{Context, shown};
use crate::error::{Error, Result};
use crate::fetch::Fetcher;
use crate::lockfile::{LockedTree, Lockfile, Plan};
use crate::make::{Again, Rebuilt, Workshop, locked_for, native_or_refuse};
use crate::model::Platform;
use crate::project::Project;
use crate::reporter::Verbosity;
use crate::store::Staging;
use crate::trust;

/// Runs the command.
///
/// # Errors
/// If a build fails, or if its result is not what the lock has.
pub fn run(args: &Rebuild, cx: &Context) -> Result<ExitCode> {
    crate::interrupt::install();
    must_be_writable(cx, "cotter rebuild")?;
    let asked = AskedTrees::read(&args.names, None, cx)?;
    let trees: Vec<&LockedTree> = asked.trees().filter(|tree| is_built(&tree.plan)).collect();
    for name in &args.names {
        if !trees.iter().any(|tree| tree.plan.name == *name || tree.plan.manifest_name() == name) {
            return Err(Error::user(format!("nothing of {name} is built from source"))
                .because("its files are taken as others have built them")
                .hint(format!("`cotter verify --deep {name}` reads every byte of it, and `cotter challenge {name} --cache URL` asks caches")));
        }
    }
    if trees.is_empty() {
        return Err(Error::user("nothing of this lock is built from source for this machine")
            .hint("a toolchain with source = \"build\" is, and a source distribution of Python"));
    }
    let keep = args.keep.as_deref().map(|dir| empty(&cx.here.join(dir), cx)).transpose()?;
    trust::demand(Some(&asked.project), Some(asked.lock()), cx)?;
    sweep(cx)?;
    let scratch = Staging::new(&cx.store)?;
    let compared = args.diffoscope.then(|| scratch.dir().to_owned());
    let keep = keep.or(compared);
    let mut rows = Rows::default();
    let (fetcher, lock) = (cx.fetcher(Some(&asked.project.manifest))?, asked.lock());
    let rebuilding = Rebuilding { project: &asked.project, fetcher: &fetcher, lock, cx };
    for tree in &trees {
        rebuilding.again(&tree.plan, args.check, keep.as_deref(), &mut |file, rebuilt| {
            let text = told(&tree.plan, file, &rebuilt, args.check);
            if !args.json && (cx.reporter.verbosity() > Verbosity::Quiet || !rebuilt.is_same()) {
                print(&text)?;
            }
            if args.diffoscope
                && let Some(sides) = rebuilt.kept.as_ref().filter(|_| !rebuilt.findings.is_empty())
            {
                diffoscope(sides, cx)?;
            }
            rows.add(&tree.plan, file, &rebuilt);
            Ok(())
        })?;
    }
    if args.json {
        print_json(&json!({ "rebuilt": rows.json }))?;
    }
    if rows.differing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let total = count(rows.json.len(), "result");
    let be = if rows.differing.len() == 1 { "is" } else { "are" };
    let error =
        Error::verification(format!("{} of {total} {be} not reproducible", rows.differing.len()));
    let error = rows.differing.into_iter().fold(error, Error::because);
    Err(match (args.check, args.keep.is_some()) {
        (false, _) => error.hint("`cotter rebuild --check` says what it depends on"),
        (true, false) => error.hint("`--keep DIR` leaves both results in a directory"),
        (true, true) => error,
    })
}

/// Whether something of a plan is built.
pub(super) fn is_built(plan: &Plan) -> bool {
    plan.inputs.iter().any(|input| input.built.is_some())
}

/// Where toolchains of a project are built again.
pub(super) struct Rebuilding<'a> {
    /// The project.
    pub project: &'a Project,
    /// The fetcher.
    pub fetcher: &'a Fetcher,
    /// The lock.
    pub lock: &'a Lockfile,
    /// The context.
    pub cx: &'a Context,
}

impl Rebuilding<'_> {
    /// Builds everything of a plan again that was built, and tells each result with the name of its file.
    ///
    /// # Errors
    /// If a build fails, and those of `tell`.
    pub fn again(
        &self,
        plan: &Plan,
        check: bool,
        keep: Option<&Path>,
        tell: &mut dyn FnMut(&str, Rebuilt) -> Result<()>,
    ) -> Result<()> {
        let Rebuilding { project, fetcher, lock, cx } = *self;
        let platform = native_or_refuse(Platform::native())?;
        let names = plan.uses.make.iter();
        let used: Vec<&LockedTree> =
            names.map(|name| locked_for(lock, name, platform)).collect::<Result<_>>()?;
        project.maker(cx, fetcher).ensure(lock, &used)?;
        let (store, reporter, limits) = (&cx.store, &cx.reporter, cx.limits());
        let workshop = Workshop { store, fetcher, reporter, lock, platform, limits };
        let again = Again { workshop: &workshop, now: &|| cx.now().as_second(), keep };
        for input in &plan.inputs {
            crate::interrupt::check()?;
            if let Some(rebuilt) = again.run(plan, input, check)? {
                tell(input.file_name(), rebuilt)?;
            }
        }
        Ok(())
    }
}

/// Makes a directory, unless it has something in it.
fn empty(dir: &Path, cx: &Context) -> Result<PathBuf> {
    let is_used = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if is_used {
        return Err(Error::user(format!("{} is not empty", shown(dir, &cx.here)))
            .because("the results would be mixed with what is there")
            .hint("name a directory that does not exist"));
    }
    fs::create_dir_all(dir).map_err(|e| Error::output("make", dir, e))?;
    Ok(dir.to_owned())
}

/// Lets diffoscope compare two directories, and prints what it says.
fn diffoscope([old, new]: &[PathBuf; 2], cx: &Context) -> Result<()> {
    let mut command = Command::new("diffoscope");
    command.args(["--exclude-directory-metadata", "yes"]).args([old, new]);
    match command.output() {
        // 1: they differ.
        Ok(output) if matches!(output.status.code(), Some(0 | 1)) => {
            print(&String::from_utf8_lossy(&output.stdout))
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            cx.reporter.warn(&format!("diffoscope has failed ({}): {said}", output.status));
            Ok(())
        }
        Err(e) => {
            cx.reporter.warn(&format!(
                "diffoscope can't be started: {e}. What cotter itself has found is all there is"
            ));
            Ok(())
        }
    }
}
