//! `cotter doctor`

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use fs_err as fs;
use serde_json::json;

use super::{human, nix_store, print, print_json};
use crate::cli::Doctor;
use crate::context::Context;
use crate::error::Result;
use crate::evaluator::fault_of_evaluations;
use crate::fetch::redact;
use crate::model::Platform;
use crate::project::Project;
use crate::sandbox::has_landlock;
use crate::store::Staging;
use crate::text::terminal::escaped;
use crate::trust;

/// The result of a check.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Note,
    Bad,
}

struct Check {
    name: &'static str,
    verdict: Verdict,
    text: String,
}

/// Runs the command.
///
/// # Errors
/// If standard output is closed.
pub fn run(args: &Doctor, cx: &Context) -> Result<ExitCode> {
    let mut checks = vec![
        platform(),
        config(cx),
        store(cx),
        disk(cx),
        namespaces(),
        landlock(),
        nix(cx),
        proc_mounted(),
    ];
    checks.extend(mirrors(cx));
    let bad = checks.iter().any(|c| c.verdict == Verdict::Bad);
    let word = |v: Verdict| match v {
        Verdict::Good => "ok",
        Verdict::Note => "note",
        Verdict::Bad => "bad",
    };
    if args.json {
        let list: Vec<_> = checks
            .iter()
            .map(|c| json!({ "check": c.name, "verdict": word(c.verdict), "text": c.text }))
            .collect();
        print_json(&json!({ "checks": list }))?;
    } else {
        for c in &checks {
            let style = match c.verdict {
                Verdict::Good => anstyle::AnsiColor::Green,
                Verdict::Note => anstyle::AnsiColor::Yellow,
                Verdict::Bad => anstyle::AnsiColor::Red,
            }
            .on_default();
            print(&format!(
                "{style}{:<4}{style:#} {:<12} {}\n",
                word(c.verdict),
                c.name,
                escaped(&c.text)
            ))?;
        }
    }
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn platform() -> Check {
    match Platform::native() {
        Some(p) => Check { name: "platform", verdict: Verdict::Good, text: p.to_string() },
        None => Check {
            name: "platform",
            verdict: Verdict::Note,
            text: "trees can be locked here, but not run".to_owned(),
        },
    }
}

/// Tells which configuration file of the user is read. One that is wrong is reported before any verb.
fn config(cx: &Context) -> Check {
    let text = match &cx.config_file {
        Some((path, true)) => format!("{} is read", path.display()),
        Some((path, false)) => format!("none: there is no {}", path.display()),
        None => "none: neither XDG_CONFIG_HOME nor HOME is set".to_owned(),
    };
    Check { name: "config", verdict: Verdict::Good, text }
}

fn store(cx: &Context) -> Check {
    let text = cx.store.dir().display().to_string();
    if let Some(weakness) = cx.store.weaknesses().first() {
        let verdict = if weakness.is_grave() { Verdict::Bad } else { Verdict::Note };
        let text = format!("{weakness}: {}", weakness.way_out());
        return Check { name: "store", verdict, text };
    }
    match Staging::new(&cx.store) {
        Ok(_) => Check { name: "store", verdict: Verdict::Good, text },
        Err(e) => Check { name: "store", verdict: Verdict::Bad, text: e.to_string() },
    }
}

/// Free bytes with which a compiler can be set up, with its downloads.
const ENOUGH_FOR_ONE: u64 = 512 << 20;

/// Free bytes with which a project with several toolchains can be set up.
const ENOUGH: u64 = 2 << 30;

fn disk(cx: &Context) -> Check {
    let there = cx.store.dir().ancestors().find(|d| d.exists());
    match there.and_then(|d| rustix::fs::statvfs(d).ok()) {
        Some(s) => {
            let free = s.f_bavail * s.f_frsize;
            let verdict = match free {
                ..ENOUGH_FOR_ONE => Verdict::Bad,
                ENOUGH_FOR_ONE..ENOUGH => Verdict::Note,
                _ => Verdict::Good,
            };
            Check {
                name: "disk",
                verdict,
                text: format!("{} free; a compiler takes about 300 MiB", human(free)),
            }
        }
        None => Check {
            name: "disk",
            verdict: Verdict::Note,
            text: "can't tell how much is free".to_owned(),
        },
    }
}

fn namespaces() -> Check {
    let number =
        |path: &str| fs::read_to_string(path).ok().and_then(|t| t.trim().parse::<u64>().ok());
    // Root needs one, too, because a build of root is an ordinary user in it.
    let none = number("/proc/sys/user/max_user_namespaces") == Some(0);
    let off = number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0)
        || number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1);
    if none {
        Check {
            name: "namespaces",
            verdict: Verdict::Note,
            text: "user namespaces are off (user.max_user_namespaces is 0): source distributions can't be built; everything else works".to_owned(),
        }
    } else if off {
        Check {
            name: "namespaces",
            verdict: Verdict::Note,
            text: "unprivileged user namespaces are off: sandboxed builds need root; everything else works".to_owned(),
        }
    } else {
        Check {
            name: "namespaces",
            verdict: Verdict::Good,
            text: "unprivileged user namespaces are on".to_owned(),
        }
    }
}

/// Tells whether the sandbox of builds has its second fence.
fn landlock() -> Check {
    let text = match has_landlock() {
        true => "Landlock also restricts builds in the sandbox",
        false => "this kernel has no Landlock: builds are in the sandbox without this second fence",
    };
    let verdict = if has_landlock() { Verdict::Good } else { Verdict::Note };
    Check { name: "landlock", verdict, text: text.to_owned() }
}

/// Tells in which ways closures of Nix can run here.
fn nix(cx: &Context) -> Check {
    let real = match nix_store::is_real() {
        true => "real: there is a /nix/store".to_owned(),
        false => "real: no, there is no /nix/store".to_owned(),
    };
    let namespace = match nix_store::fault_of_namespace(cx) {
        Ok(None) => "namespace: yes".to_owned(),
        Ok(Some(why)) => format!("namespace: no, {why}"),
        Err(e) => format!("namespace: no, {e}"),
    };
    let evaluations = match fault_of_evaluations(Path::new("/usr")) {
        None => "Nix evaluates in a namespace of its own".to_owned(),
        Some(why) => format!("Nix evaluates with all your rights: {why}"),
    };
    let text = format!("closures of Nix run relocated: always; {real}; {namespace}; {evaluations}");
    Check { name: "nix", verdict: Verdict::Good, text }
}

fn proc_mounted() -> Check {
    let ok = fs::metadata("/proc/self").is_ok_and(|m| m.ino() != 0);
    Check {
        name: "proc",
        verdict: if ok { Verdict::Good } else { Verdict::Bad },
        text: if ok {
            "/proc is mounted".to_owned()
        } else {
            "/proc is not mounted: launchers need it to find their tree through symlinks".to_owned()
        },
    }
}

fn mirrors(cx: &Context) -> Vec<Check> {
    let bad = |e: crate::error::Error| {
        vec![Check { name: "mirrors", verdict: Verdict::Bad, text: e.to_string() }]
    };
    let project = match cx.manifest_path().map(|_| Project::load(cx)) {
        Ok(Err(e)) => return bad(e),
        Ok(Ok(project)) => Some(project),
        Err(_) => None,
    };
    // Mirrors that only a manifest names are not asked before the user accepted them.
    let trusted = project.as_ref().filter(|project| {
        trust::missing(Some(project), None, cx).is_ok_and(|missing| missing.is_empty())
    });
    let fetcher = match cx.fetcher(trusted.map(|p| &p.manifest)) {
        Ok(fetcher) => fetcher,
        Err(e) => return bad(e),
    };
    if cx.global.offline {
        return vec![Check {
            name: "mirrors",
            verdict: Verdict::Note,
            text: "not asked: --offline".to_owned(),
        }];
    }
    let suite = project
        .iter()
        .flat_map(|p| p.sources.values())
        .flat_map(|source| source.suites())
        .find_map(|(archive, suite)| (archive == "debian").then(|| suite.to_owned()));
    let suite = suite.unwrap_or_else(|| "bookworm".to_owned());
    let bases = fetcher.mirrors.bases("debian", None);
    if bases.is_empty() {
        return vec![Check {
            name: "mirrors",
            verdict: Verdict::Note,
            text: "no Debian mirror is configured: snapshot.debian.org will be asked".to_owned(),
        }];
    }
    bases
        .iter()
        .map(|base| {
            let shown = redact(base);
            match fetcher.http.get(&format!("{base}/dists/{suite}/InRelease"), 0) {
                Ok(_) => Check {
                    name: "mirror",
                    verdict: Verdict::Good,
                    text: format!("{shown} has {suite}"),
                },
                Err(e) => Check { name: "mirror", verdict: Verdict::Bad, text: e.to_string() },
            }
        })
        .collect()
}
