//! `cotter import`: takes paths over from a store of Nix on this machine.

use std::process::ExitCode;

use super::{count, human, must_be_writable, sweep};
use crate::cli::{Import, ImportNix, ImportWhat};
use crate::context::Context;
use crate::error::Result;
use crate::make::LocalNix;
use crate::model::StoreName;

/// Runs the command.
///
/// # Errors
/// If a path is not there or is not what Nix says, or if the store cannot be written.
pub fn run(args: &Import, cx: &Context) -> Result<ExitCode> {
    let ImportWhat::Nix(args) = &args.what;
    nix(args, cx)
}

fn nix(args: &ImportNix, cx: &Context) -> Result<ExitCode> {
    crate::interrupt::install();
    cx.store.refuse_if_open()?;
    must_be_writable(cx, "cotter import")?;
    sweep(cx)?;
    let nix = LocalNix::below(args.from.as_ref().map(|dir| cx.here.join(dir)), cx.build_seconds());
    let named = args.paths.iter().map(|path| nix.named(&cx.here.join(path)));
    let tops = named.collect::<Result<Vec<StoreName>>>()?;
    // What is taken over first is there before anything refers to it.
    cx.store.hold_closures();
    let paths = nix.closure(&tops, args.scan)?;
    let (mut taken, mut size) = (0, 0);
    for info in &paths {
        let task = cx.reporter.task(info.path.as_str(), info.nar_size);
        if nix.take(info, &cx.store, &|text| task.note(text))? {
            (taken, size) = (taken + 1, size + info.nar_size);
        }
        task.advance(info.nar_size);
    }
    cx.reporter.line(&format!(
        "took over {} ({}), and {} there already",
        count(taken, "path"),
        human(size),
        match paths.len() - taken {
            1 => "1 was".to_owned(),
            n => format!("{n} were"),
        }
    ));
    Ok(ExitCode::SUCCESS)
}
