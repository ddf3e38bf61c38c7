//! `cotter remove`

use std::process::ExitCode;

use super::amend::{Before, Effect};
use crate::cli::Remove;
use crate::context::{Context, shown};
use crate::error::{Error, Result};
use crate::manifest::{Problems, edit, no_such_toolchain};

/// Runs the command.
///
/// # Errors
/// If there is no such toolchain, or if another part of the manifest uses it.
pub fn run(args: &Remove, cx: &Context) -> Result<ExitCode> {
    let before = Before::read("remove", cx)?;
    let manifest = &before.project.manifest;
    let places = Problems::new(&shown(&before.project.manifest_path, &cx.here), &before.text);
    let rest = edit::without(&before.text, &args.names)?;
    for name in &args.names {
        let (toolchains, sets) = (&manifest.toolchains, &manifest.requirements);
        if !toolchains.contains_key(name) && !sets.contains_key(name) {
            let known = toolchains.keys().chain(sets.keys()).map(|n| n.as_str());
            return Err(no_such_toolchain(name.as_str(), known));
        }
        // What is removed together may use each other.
        let users = edit::users(manifest, name).into_iter().filter(|(_, user)| {
            !args.names.iter().any(|other| user.ends_with(&format!(".{other}]")))
        });
        let users: Vec<_> = users.collect();
        let Some((first, _)) = users.first() else { continue };
        let error = Error::user(format!("{name} is in use"));
        let error = error.located(places.place(first.start));
        let told = |error: Error, (span, user): &(std::ops::Range<usize>, String)| {
            error.because(format!("{}: {user} names it", places.place(span.start)))
        };
        return Err(users
            .iter()
            .fold(error, told)
            .hint("take the name out there first, or remove what uses it, too"));
    }
    let (allow_expired, json) = (args.allow_expired, args.json);
    let effect = Effect { setup: !args.no_setup, allow_expired, json };
    before.become_text(&rest, effect, cx)?;
    let sets = args.names.iter().filter_map(|name| manifest.requirements.get(name));
    for output in sets.flat_map(|set| set.python.iter().map(|python| set.output(&python.value))) {
        if before.project.dir().join(output.as_str()).exists() {
            cx.reporter
                .line(&format!("{output} is no longer written: delete it if nothing uses it"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
