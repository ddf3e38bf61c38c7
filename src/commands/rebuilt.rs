//! How the results of `cotter rebuild` are told.

use serde_json::{Value, json};

use super::count;
use crate::compare::{Difference, Influence};
use crate::lockfile::Plan;
use crate::make::{Attributed, Rebuilt};

/// The number of differences that are printed of one result.
const SHOWN: usize = 40;

/// What there is to say of all results.
#[derive(Default)]
pub struct Rows {
    /// Each result.
    pub json: Vec<Value>,
    /// A line for each result that is not reproducible.
    pub differing: Vec<String>,
}

impl Rows {
    /// Adds a result.
    pub fn add(&mut self, plan: &Plan, file: &str, rebuilt: &Rebuilt) {
        let words = |reasons: &mut dyn Iterator<Item = Influence>| -> Vec<&str> {
            reasons.map(Influence::word).collect()
        };
        let difference = |one: &Attributed| {
            let Difference { path, spot } = &one.difference;
            json!({
                "path": path.as_str(), "within": spot.within, "text": spot.text(),
                "causes": words(&mut one.causes.iter().copied()), "follows": spot.follows,
            })
        };
        let side = |built: &crate::model::Built| json!({ "sha256": built.sha256.to_string(), "size": built.size });
        let findings: Vec<Value> = rebuilt.findings.iter().map(difference).collect();
        let traces: Vec<Value> = rebuilt
            .traces
            .iter()
            .map(|trace| {
                json!({
                    "path": trace.path.as_str(), "cause": trace.value.cause.word(),
                    "about": trace.value.about, "value": trace.value.text,
                })
            })
            .collect();
        self.json.push(json!({
            "name": plan.name.as_str(), "file": file, "same": rebuilt.is_same(), "builds": rebuilt.builds,
            "expected": side(&rebuilt.locked), "got": side(&rebuilt.built), "compared": rebuilt.is_compared,
            "causes": words(&mut rebuilt.influences().into_iter()), "differences": findings,
            "left_out": rebuilt.left_out, "traces": traces,
            "kept": rebuilt.kept.as_ref().map(|sides| json!({ "old": sides[0], "new": sides[1] })),
        }));
        if !rebuilt.is_same() {
            let causes: Vec<&str> =
                rebuilt.influences().into_iter().map(Influence::about).collect();
            let causes = match causes.is_empty() {
                true => "it is not known what it depends on".to_owned(),
                false => format!("it depends on {}", causes.join("; ")),
            };
            self.differing.push(format!("{}: {causes}", label(plan, file)));
        }
    }
}

/// Returns the name of a result: that of the toolchain, and of the file of a set.
fn label(plan: &Plan, file: &str) -> String {
    match plan.building {
        Some(_) => plan.name.to_string(),
        None => format!("{}, {file}", plan.name),
    }
}

/// Returns what there is to say of one result.
pub fn told(plan: &Plan, file: &str, rebuilt: &Rebuilt, check: bool) -> String {
    let label = label(plan, file);
    let builds = count(rebuilt.builds, "build");
    let how = if check { format!("{builds} in other surroundings") } else { builds };
    if rebuilt.is_same() {
        return format!("{label}: the same bytes as in the lock ({how})\n");
    }
    let mut out = match (rebuilt.built == rebuilt.locked, rebuilt.findings.is_empty()) {
        (true, true) => {
            format!("{label}: the same bytes as in the lock ({how}), but not elsewhere\n")
        }
        (true, false) => format!("{label}: {} differ ({how})\n", count(rebuilt.files, "file")),
        (false, _) => format!(
            "{label}: not the bytes of the lock ({how})\n  expected {} bytes with sha256 {}\n  got {} bytes with sha256 {}\n",
            rebuilt.locked.size, rebuilt.locked.sha256, rebuilt.built.size, rebuilt.built.sha256
        ),
    };
    if !rebuilt.is_compared {
        out.push_str(
            "  the bytes of the lock are not on this machine, so what differs is not known\n",
        );
    }
    let mut last = None;
    // What explains the rest comes first.
    let own = |follows: bool| {
        rebuilt.findings.iter().filter(move |one| one.difference.spot.follows == follows)
    };
    for one in own(false).chain(own(true)).take(SHOWN) {
        let Difference { path, spot } = &one.difference;
        if last != Some(path) {
            out.push_str(&format!("  {path}\n"));
        }
        last = Some(path);
        out.push_str(&format!("    {}\n", spot.text()));
        let causes: Vec<&str> = one.causes.iter().map(|cause| cause.about()).collect();
        let cause = match (causes.is_empty(), spot.follows) {
            (false, _) => causes.join("; "),
            (true, true) => "it follows from the other differences of the file".to_owned(),
            (true, false) => "it is not known".to_owned(),
        };
        out.push_str(&format!("      cause: {cause}\n"));
    }
    let more = rebuilt.findings.len().saturating_sub(SHOWN) + rebuilt.left_out;
    if more > 0 {
        out.push_str(&format!("  and {more} more\n"));
    }
    for trace in &rebuilt.traces {
        let (path, value) = (&trace.path, &trace.value);
        out.push_str(&format!(
            "  {path}\n    it names {}: {:?}\n      cause: {}\n",
            value.about,
            value.text,
            value.cause.about()
        ));
    }
    if let Some([old, new]) = &rebuilt.kept {
        out.push_str(&format!("  old: {}\n  new: {}\n", old.display(), new.display()));
    }
    out
}
