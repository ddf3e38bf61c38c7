//! `cotter man`

use std::process::ExitCode;

use clap::CommandFactory;
use fs_err as fs;

use crate::cli::{Cli, Man};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::project::replace;

/// Runs the command: it writes one page for cotter, and one for each verb with its subverbs.
///
/// # Errors
/// If a page cannot be written.
pub fn run(args: &Man, cx: &Context) -> Result<ExitCode> {
    let dir = cx.here.join(&args.dir);
    fs::create_dir_all(&dir).map_err(|e| Error::output("make", &dir, e))?;
    let mut cli = Cli::command();
    cli.build();
    let mut todo = vec![cli];
    let mut written = 0;
    while let Some(command) = todo.pop() {
        // The verbs below `help` print what the pages say.
        let has_page = |below: &&clap::Command| !below.is_hide_set() && below.get_name() != "help";
        todo.extend(command.get_subcommands().filter(has_page).cloned());
        // Building has joined the names of a verb and its subverbs: `cotter-audit-tree`.
        let name = command.get_display_name().unwrap_or(command.get_name());
        let path = dir.join(format!("{name}.1"));
        let mut page = vec![];
        clap_mangen::Man::new(command)
            .render(&mut page)
            .map_err(|e| Error::output("write", &path, e))?;
        replace(&path, &String::from_utf8_lossy(&page))?;
        written += 1;
    }
    cx.reporter.line(&format!("wrote {written} pages into {}", args.dir.display()));
    Ok(ExitCode::SUCCESS)
}
