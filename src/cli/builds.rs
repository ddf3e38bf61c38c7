//! The arguments of the verbs that build again, and compare.

use std::path::PathBuf;

use clap::Args;

use crate::model::ToolchainName;

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
