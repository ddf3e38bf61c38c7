//! The arguments of the verbs that run tasks, ask indexes, and look after cotter itself.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::model::{Platform, ToolchainName};

/// `cotter run`
#[derive(Args, Debug)]
pub struct Run {
    /// The task [default: list them]
    pub name: Option<String>,
    /// Further arguments of the task's command
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<OsString>,
    /// Leave the PATH of the host out
    #[arg(long, conflicts_with = "host")]
    pub pure: bool,
    /// Let the commands and their children start every program of the host
    #[arg(long)]
    pub host: bool,
    /// Print the list of tasks as JSON, if no task is named
    #[arg(long, conflicts_with = "name")]
    pub json: bool,
}

/// `cotter outdated`
#[derive(Args, Debug)]
pub struct Outdated {
    /// The toolchains and sets of requirements [default: all]
    pub names: Vec<ToolchainName>,
    /// Accept an index that has expired
    #[arg(long)]
    pub allow_expired: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter search`
#[derive(Args, Debug)]
pub struct SearchArgs {
    /// The name of the package, or a part of it
    pub name: String,
    /// Search the Python package index, for a project of exactly this name
    #[arg(long)]
    pub python: bool,
    /// The suite; may be repeated [default: those of the manifest, or bookworm]
    #[arg(long, value_name = "SUITE", conflicts_with = "python")]
    pub suite: Vec<String>,
    /// The platform [default: the one of this machine]
    #[arg(long, conflicts_with = "python")]
    pub platform: Option<Platform>,
    /// Accept an index that has expired
    #[arg(long)]
    pub allow_expired: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter self`
#[derive(Args, Debug)]
pub struct Own {
    /// What to do
    #[command(subcommand)]
    pub what: OwnWhat,
}

/// What is told of cotter itself.
#[derive(Subcommand, Debug)]
pub enum OwnWhat {
    /// Print the version, and the formats and recipes that it knows
    Version(OwnVersion),
}

/// `cotter self version`
#[derive(Args, Debug)]
pub struct OwnVersion {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter man`
#[derive(Args, Debug)]
pub struct Man {
    /// The directory, which is created if it is missing
    pub dir: PathBuf,
}

/// The flags of a command that starts Bazel.
#[derive(Args, Debug)]
pub struct BazelFlags {
    /// The program to run as Bazel
    #[arg(long = "bazel", env = "COTTER_BAZEL", default_value = "bazel", value_name = "PROGRAM")]
    pub program: PathBuf,
    /// A startup flag for Bazel; may be repeated
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    pub startup: Vec<String>,
    /// A flag for Bazel's build and aquery; may be repeated
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    pub flag: Vec<String>,
}

/// `cotter compile-commands`
#[derive(Args, Debug)]
pub struct CompileCommands {
    /// The targets
    #[arg(default_value = "//...")]
    pub targets: Vec<String>,
    /// The Bazel
    #[command(flatten)]
    pub bazel: BazelFlags,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter schema`
#[derive(Args, Debug)]
pub struct Schema {
    /// The file
    #[arg(value_enum, default_value_t)]
    pub file: SchemaFile,
}

/// The files that have a schema.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SchemaFile {
    /// toolchains.toml
    #[default]
    Manifest,
    /// toolchains.lock
    Lock,
    /// The configuration file of the user
    Config,
}

/// How a closure of Nix runs.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum NixStore {
    /// The first of the other ways that is possible here
    Auto,
    /// In the /nix/store of this machine
    Real,
    /// In a namespace that shows the store of cotter at /nix/store
    Namespace,
    /// As a tree that runs at any place
    Relocated,
}
