//! The arguments of the verbs for what is built, and for what is built again.

use std::path::PathBuf;

use clap::Args;

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

/// `cotter rebuild`
#[derive(Args, Debug)]
pub struct Rebuild {
    /// The toolchains and sets of requirements [default: all that are built on this platform]
    pub names: Vec<ToolchainName>,
    /// Build at another path, as another user, at another time, with another host name, job count, processor count, file order and kernel version, and tell what differs and why
    #[arg(long)]
    pub check: bool,
    /// Leave both results in this directory
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Also compare what differs with the diffoscope of this machine
    #[arg(long)]
    pub diffoscope: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter challenge`
#[derive(Args, Debug)]
pub struct Challenge {
    /// The toolchain
    pub name: ToolchainName,
    /// The address of a cache: https://, http://, file:// or s3://; may be repeated
    #[arg(long, value_name = "URL", required = true, num_args = 1..)]
    pub cache: Vec<String>,
    /// Also build it here, and compare that
    #[arg(long)]
    pub rebuild: bool,
    /// Also fetch what the caches have, and read every byte
    #[arg(long)]
    pub deep: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
