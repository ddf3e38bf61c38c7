//! Builds again what a lock says was built, compares the results, and finds out what their differences
//! come from.
//!
//! The second build has other surroundings than the first: each thing that a build could see of a machine
//! has another value, and those values are searched in the bytes that differ. What they do not explain is
//! built a third time with the surroundings of the second. What differs then, too, is random; what does
//! not is built once more for each thing, with only that thing changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;

use super::build::{Tools, Workshop};
use super::from_source::described;
use super::place::lay_out;
use crate::compare::{
    Comparison, Difference, Influence, KnownBuilds, MachineTrace, MachineValue, Pair, SpotKey,
    Window, compare, traces,
};
use crate::error::{Error, Result};
use crate::lockfile::Plan;
use crate::manifest::Requirements;
use crate::model::{Built, Input, MemberPath};
use crate::sandbox::Surroundings;
use crate::store::Staging;
use crate::tree::{Blob, BlobDir, Node, Tree};
use crate::unpack::{Limits, unpack_nar};

/// The pause between two builds. A zip file stores times in units of two seconds.
const PAUSE: Duration = Duration::from_millis(2100);

/// Builds something again.
pub struct Again<'a> {
    /// Where it is built.
    pub workshop: &'a Workshop<'a>,
    /// The clock, in seconds since 1970.
    pub now: &'a dyn Fn() -> i64,
    /// The directory that gets both results, if somebody wants to look at them.
    pub keep: Option<&'a Path>,
}

/// What was built again.
pub struct Rebuilt {
    /// The result that the lock has.
    pub locked: Built,
    /// The first result of this machine that is another one, or the same.
    pub built: Built,
    /// Whether two results were compared byte by byte.
    pub is_compared: bool,
    /// The number of builds.
    pub builds: usize,
    /// The differences.
    pub findings: Vec<Attributed>,
    /// The number of files that differ.
    pub files: usize,
    /// The number of differences that are not among the findings.
    pub left_out: usize,
    /// Values of this machine that the result has.
    pub traces: Vec<MachineTrace>,
    /// The directories with the old and the new result.
    pub kept: Option<[PathBuf; 2]>,
}

impl Rebuilt {
    /// Whether everything is as the lock has it, and names nothing of this machine.
    pub fn is_same(&self) -> bool {
        self.built == self.locked && self.findings.is_empty() && self.traces.is_empty()
    }

    /// Returns everything that the differences come from.
    pub fn influences(&self) -> BTreeSet<Influence> {
        let of_traces = self.traces.iter().map(|trace| trace.value.cause);
        self.findings.iter().flat_map(|one| one.causes.iter().copied()).chain(of_traces).collect()
    }
}

/// A difference, with what it comes from.
pub struct Attributed {
    /// The difference.
    pub difference: Difference,
    /// What it comes from. Nothing, if other differences of the file explain it, or if nothing is known.
    pub causes: BTreeSet<Influence>,
    /// Whether the causes explain all of it.
    is_whole: bool,
}

/// A result.
struct Run {
    /// Its files are there.
    scratch: Staging,
    tree: Tree,
    built: Built,
    /// When it was built, if that is known.
    time: Option<Window>,
    /// When its file was written, in seconds since 1970.
    written: Option<i64>,
}

/// Changes one thing of the surroundings.
type Change = fn(&mut Surroundings);

/// What is changed for a build with other surroundings, each with what depends on it. The values are found
/// nowhere else.
const CHANGES: [(Influence, Change); 7] = [
    (Influence::Path, |s| s.place = "rebuild".to_owned()),
    (Influence::Jobs, |s| s.jobs = Some(7)),
    (Influence::Processors, |s| s.processors = Some(1)),
    (Influence::DirectoryOrder, |s| s.reversed = true),
    (Influence::Kernel, |s| s.old_kernel = true),
    (Influence::User, |s| {
        s.user = 1234;
        s.user_name = "checker".to_owned();
    }),
    (Influence::Host, |s| s.host = "cotter-check".to_owned()),
];

impl Again<'_> {
    /// Builds an input of a plan again, and compares the result with the locked one. With `check`, the
    /// surroundings are others, and the causes of differences are looked for.
    ///
    /// # Errors
    /// If a build fails, or if the store cannot be written.
    pub fn run(&self, plan: &Plan, input: &Input, check: bool) -> Result<Option<Rebuilt>> {
        let Some(locked) = &input.built else { return Ok(None) };
        let ordinary = with_jobs_of(std::thread::available_parallelism().map_or(1, |n| n.get()));
        let mut other = ordinary.clone();
        if check {
            CHANGES.iter().for_each(|(_, change)| change(&mut other));
        }
        let mut builds = 1;
        let old = match self.locked(plan, locked)? {
            Some(run) => Some(run),
            // Without the locked bytes, two builds of this machine are compared.
            None if check => {
                builds += 1;
                Some(self.make(plan, input, &ordinary)?)
            }
            None => None,
        };
        if old.as_ref().is_some_and(|run| self.is_new(run)) {
            std::thread::sleep(PAUSE);
        }
        let new = self.make(plan, input, &other)?;
        let Some(old) = old else {
            return Ok(Some(Rebuilt {
                locked: locked.clone(),
                built: new.built,
                is_compared: false,
                builds,
                findings: vec![],
                files: 0,
                left_out: 0,
                traces: vec![],
                kept: None,
            }));
        };
        let comparison = compare(&old.tree, &new.tree)?;
        let known = KnownBuilds {
            pairs: pairs(&ordinary, &other),
            old_time: old.time,
            new_time: new.time.unwrap_or(Window { from: 0, to: 0 }),
            reversed: check,
        };
        let (files, left_out) = (comparison.paths.len(), comparison.left_out);
        let mut findings = explained(comparison, &known);
        if check {
            let search = Search { again: self, plan, input, old: &old, new: &new, other: &other };
            builds += search.random(&mut findings)?;
            builds += search.each(&mut findings, &ordinary)?;
        }
        let mut traces = if check { self.traces(plan, &new)? } else { vec![] };
        traces.retain(|trace| {
            !findings.iter().any(|one| {
                one.difference.path == trace.path && one.causes.contains(&trace.value.cause)
            })
        });
        let kept = self.keep.map(|dir| keep(dir, plan, input, [&old, &new])).transpose()?;
        let built = if old.built == *locked { new.built } else { old.built };
        Ok(Some(Rebuilt {
            locked: locked.clone(),
            built,
            is_compared: true,
            builds,
            findings,
            files,
            left_out,
            traces,
            kept,
        }))
    }

    /// Whether a result was made a moment ago.
    fn is_new(&self, run: &Run) -> bool {
        let end = run.time.map(|time| time.to).or(run.written);
        end.is_none_or(|end| (self.now)() - end <= 3)
    }

    fn make(&self, plan: &Plan, input: &Input, surroundings: &Surroundings) -> Result<Run> {
        let scratch = Staging::new(self.workshop.store)?;
        let from = (self.now)();
        let (tree, built) = if plan.building.is_some() {
            let tree = self.workshop.installed(plan, surroundings, scratch.dir())?;
            let built = described(plan, &tree, std::io::sink())
                .map_err(|e| Error::io("can't read a result", e))?;
            (tree, built)
        } else {
            let Some(set) = plan.spec.packages() else {
                return Err(Error::build(format!("{} is not built", plan.name)));
            };
            let requires = Requirements::builds_name(&plan.name);
            let tools = Tools::of(plan, set, &requires);
            let (path, built) = self.workshop.wheel(input, &tools, surroundings, scratch.dir())?;
            (only(path, &built.file)?, built)
        };
        let time = Some(Window { from, to: (self.now)() });
        Ok(Run { scratch, tree, built, time, written: None })
    }

    /// Returns the result that the lock names, if this machine has it.
    fn locked(&self, plan: &Plan, locked: &Built) -> Result<Option<Run>> {
        let Some(path) = self.workshop.fetcher.built(&locked.sha256) else { return Ok(None) };
        let scratch = Staging::new(self.workshop.store)?;
        let tree = if plan.building.is_some() {
            let file = fs::File::open(&path).map_err(|e| Error::at("read", &path, e))?;
            let blobs = BlobDir::create(scratch.dir().join("locked"))?;
            unpack_nar(file, &blobs, Limits { entries: 1_000_000, bytes: locked.size })?
        } else {
            only(path.clone(), &locked.file)?
        };
        // It was adopted as soon as it was built. Where it came from elsewhere, that is the latest time.
        let modified = fs::metadata(&path).and_then(|meta| meta.modified()).ok();
        let age = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let written = age.and_then(|age| i64::try_from(age.as_secs()).ok());
        Ok(Some(Run { scratch, tree, built: locked.clone(), written, time: None }))
    }

    /// Returns what a result names of this machine and of the day. What the source names, too, is no
    /// trace of a build.
    fn traces(&self, plan: &Plan, run: &Run) -> Result<Vec<MachineTrace>> {
        let mut values = machine();
        values.extend(run.time.into_iter().flat_map(MachineValue::days));
        let mut found = traces(&run.tree, &values)?;
        let source = run.scratch.dir().join("source");
        if plan.building.is_some() && !found.is_empty() && source.is_dir() {
            let values: Vec<MachineValue> = found.iter().map(|one| one.value.clone()).collect();
            let of_source = traces(&Tree::on_disk(&source)?, &values)?;
            found.retain(|one| !of_source.iter().any(|other| other.value == one.value));
        }
        Ok(found)
    }
}

/// Looks for the causes of differences that no value explains.
struct Search<'a> {
    again: &'a Again<'a>,
    plan: &'a Plan,
    input: &'a Input,
    old: &'a Run,
    new: &'a Run,
    other: &'a Surroundings,
}

impl Search<'_> {
    fn make(&self, surroundings: &Surroundings) -> Result<Run> {
        self.again.make(self.plan, self.input, surroundings)
    }

    /// Builds with the same surroundings again. What differs is random, unless it is the same as soon as
    /// the addresses of memory are. Returns the number of builds.
    fn random(&self, findings: &mut [Attributed]) -> Result<usize> {
        let is_order = |one: &Attributed| one.causes.contains(&Influence::DirectoryOrder);
        let is_open = |one: &Attributed| !one.difference.spot.follows && !one.is_whole;
        if !findings.iter().any(|one| is_open(one) || is_order(one)) {
            return Ok(0);
        }
        let third = self.make(self.other)?;
        let changed = keys(&compare(&self.new.tree, &third.tree)?);
        let is_changed = |one: &Attributed| changed.contains(&one.difference.key());
        for one in findings.iter_mut().filter(|one| is_changed(one) && is_order(one)) {
            one.causes.remove(&Influence::DirectoryOrder);
            one.causes.insert(Influence::RandomOrder);
        }
        let mut random: Vec<&mut Attributed> =
            findings.iter_mut().filter(|one| is_open(one) && is_changed(one)).collect();
        if random.is_empty() {
            return Ok(1);
        }
        let fixed = Surroundings { fixed_addresses: true, ..self.other.clone() };
        let (one, two) = (self.make(&fixed)?, self.make(&fixed)?);
        let changed = keys(&compare(&one.tree, &two.tree)?);
        for one in &mut random {
            let is_random = changed.contains(&one.difference.key());
            one.causes.insert(if is_random { Influence::Random } else { Influence::Memory });
            one.is_whole = true;
        }
        Ok(3)
    }

    /// Builds with one thing changed after the other, until each difference has a cause. Returns the number
    /// of builds.
    fn each(&self, findings: &mut [Attributed], ordinary: &Surroundings) -> Result<usize> {
        let mut builds = 0;
        for (cause, change) in CHANGES {
            let is_open = |one: &&mut Attributed| !one.difference.spot.follows && !one.is_whole;
            let mut open: Vec<&mut Attributed> = findings.iter_mut().filter(is_open).collect();
            if open.is_empty() {
                return Ok(builds);
            }
            let mut surroundings = ordinary.clone();
            change(&mut surroundings);
            let changed = keys(&compare(&self.old.tree, &self.make(&surroundings)?.tree)?);
            builds += 1;
            for one in &mut open {
                if changed.contains(&one.difference.key()) {
                    one.causes.insert(cause);
                    one.is_whole = true;
                }
            }
        }
        for one in findings.iter_mut().filter(|one| !one.is_whole && one.causes.is_empty()) {
            if !one.difference.spot.follows {
                one.causes.insert(Influence::Surroundings);
            }
        }
        Ok(builds)
    }
}

fn keys(comparison: &Comparison) -> BTreeSet<SpotKey> {
    comparison.differences.iter().map(Difference::key).collect()
}

fn explained(comparison: Comparison, known: &KnownBuilds) -> Vec<Attributed> {
    let of = |difference: Difference| {
        let found = known.explain(&difference.spot);
        Attributed { difference, causes: found.causes, is_whole: found.is_whole }
    };
    comparison.differences.into_iter().map(of).collect()
}

/// Returns the surroundings of ordinary builds, with the number of their jobs.
fn with_jobs_of(processors: usize) -> Surroundings {
    Surroundings { jobs: Some(processors), ..Surroundings::default() }
}

/// Returns the values that differ between two surroundings.
fn pairs(old: &Surroundings, new: &Surroundings) -> Vec<Pair> {
    let count = |s: &Surroundings| s.processors.or(old.jobs).unwrap_or(1).to_string();
    let jobs = |s: &Surroundings| s.jobs.unwrap_or(1).to_string();
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let kernel_of = |s: &Surroundings| match s.old_kernel {
        true => old_name(&kernel),
        false => kernel.clone(),
    };
    let place = |s: &Surroundings| format!("/{}", s.place);
    let all = [
        (Influence::Kernel, kernel_of(old), kernel_of(new)),
        (Influence::Path, place(old), place(new)),
        (Influence::Host, old.host.clone(), new.host.clone()),
        (Influence::User, old.user_name.clone(), new.user_name.clone()),
        (Influence::User, old.user.to_string(), new.user.to_string()),
        (Influence::Jobs, jobs(old), jobs(new)),
        (Influence::Processors, count(old), count(new)),
    ];
    let differ = all.into_iter().filter(|(_, old, new)| old != new);
    differ.map(|(cause, old, new)| Pair { cause, old, new }).collect()
}

/// Returns the version that a kernel has for programs that know only old versions: `6.1.0-13` is
/// `2.6.61-13` to them. Source: `override_release()` of the kernel's `kernel/sys.c`.
fn old_name(release: &str) -> String {
    let mut dots = 0;
    let end = release.find(|c: char| {
        dots += usize::from(c == '.');
        dots >= 3 || !(c.is_ascii_digit() || c == '.')
    });
    let minor: u32 = release.split('.').nth(1).and_then(|n| n.parse().ok()).unwrap_or_default();
    format!("2.6.{}{}", minor + 60, end.map_or("", |end| &release[end..]))
}

/// Returns what the kernel says of this machine and cannot be changed for a build.
fn machine() -> Vec<MachineValue> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(": ")).map_or("", |(_, name)| name);
    [
        (Influence::Machine, "the boot of the kernel", read("/proc/sys/kernel/random/boot_id")),
        (Influence::Kernel, "the version of the kernel", read("/proc/sys/kernel/osrelease")),
        (Influence::Machine, "the processor", model.to_owned()),
    ]
    .map(|(cause, about, text)| MachineValue { cause, about, text: text.trim().to_owned() })
    .into()
}

/// Returns the tree that has one file.
fn only(path: PathBuf, name: &str) -> Result<Tree> {
    let mut tree = Tree::default();
    let blob = Blob::of_file(path.clone()).map_err(|e| Error::at("read", &path, e))?;
    let name = MemberPath::composed(name)
        .ok_or_else(|| Error::verification(format!("{name:?} is no name of a file")))?;
    tree.put(name, Node::File { blob, executable: false });
    Ok(tree)
}

/// Writes two results below a directory.
fn keep(dir: &Path, plan: &Plan, input: &Input, runs: [&Run; 2]) -> Result<[PathBuf; 2]> {
    let mut dir = dir.join(plan.name.as_str());
    if plan.building.is_none() {
        dir.push(&input.component.name);
    }
    let out = ["old", "new"].map(|side| dir.join(side));
    for (run, to) in runs.into_iter().zip(&out) {
        fs::create_dir_all(to).map_err(|e| Error::output("make", to, e))?;
        lay_out(&run.tree, None, to)?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_name_of_a_kernel_is_that_of_the_kernel() {
        for (release, old) in
            [("6.1.0-13-amd64", "2.6.61-13-amd64"), ("5.10.223", "2.6.70"), ("6.12.8+", "2.6.72+")]
        {
            assert_eq!(old_name(release), old);
        }
    }

    #[test]
    fn every_change_has_a_value_that_can_be_found() {
        let ordinary = with_jobs_of(2);
        let mut other = ordinary.clone();
        CHANGES.iter().for_each(|(_, change)| change(&mut other));
        let found: BTreeSet<Influence> =
            pairs(&ordinary, &other).into_iter().map(|pair| pair.cause).collect();
        // The order of entries has no value.
        let without_order = |cause: &Influence| *cause != Influence::DirectoryOrder;
        let expected: BTreeSet<Influence> =
            CHANGES.iter().map(|(cause, _)| *cause).filter(without_order).collect();
        assert_eq!(found, expected);
        assert_eq!(pairs(&ordinary, &ordinary).len(), 0);
    }
}
