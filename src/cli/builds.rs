//! The arguments of the verbs for what is built from source.

use clap::Args;

use super::{Command, Global};
use crate::model::ToolchainName;

/// `cotter build`
#[derive(Args, Debug)]
pub struct Build {
    /// The toolchains [default: all of this platform that are built from source]
    pub names: Vec<ToolchainName>,
    /// Keep what a build leaves that fails, and tell where
    #[arg(long, conflicts_with = "shell")]
    pub keep_failed: bool,
    /// Start a shell in the sandbox of this toolchain's build, where a step fails
    #[arg(long, value_name = "NAME", conflicts_with_all = ["names", "json"])]
    pub shell: Option<ToolchainName>,
    /// Start the shell before this step; the first one is 1
    #[arg(long, value_name = "N", requires = "shell")]
    pub step: Option<usize>,
    /// Accept an index that has expired, if something must be locked
    #[arg(long)]
    pub allow_expired: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter log`
#[derive(Args, Debug)]
pub struct Log {
    /// The toolchain, or the file name of a source distribution
    pub name: String,
}

impl Command {
    /// Changes the flags that every command accepts by those of the verb.
    pub fn adjust(&self, global: &mut Global) {
        match self {
            Command::Lock(args) => global.keep_failed = args.keep_failed,
            Command::Setup(args) => global.keep_failed = args.keep_failed,
            Command::Build(args) => {
                global.keep_failed = args.keep_failed;
                // Whoever builds on purpose wants to see it.
                global.verbose = !global.quiet && !args.json;
            }
            _ => {}
        }
    }
}
