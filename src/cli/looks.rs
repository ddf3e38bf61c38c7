//! The arguments of the verbs that tell what the manifest, the lock and the trees contain.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::model::{Platform, ToolchainName};

/// `cotter diff`
#[derive(Args, Debug)]
pub struct Diff {
    /// The lock to compare with: a file, or a revision of git
    #[arg(default_value = "HEAD", value_name = "OLD")]
    pub old: String,
    /// Print JSON
    #[arg(long, group = "form")]
    pub json: bool,
    /// Print Markdown, for the comment of a pull request
    #[arg(long, group = "form")]
    pub markdown: bool,
    /// Print a page of HTML
    #[arg(long, group = "form")]
    pub html: bool,
}

/// `cotter tree`
#[derive(Args, Debug)]
pub struct TreeArgs {
    /// The toolchains [default: all]
    pub names: Vec<ToolchainName>,
    /// The platform [default: the one of this machine]
    #[arg(long)]
    pub platform: Option<Platform>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter why`
#[derive(Args, Debug)]
pub struct WhyArgs {
    /// The package
    pub package: String,
    /// Only in these toolchains [default: all]
    #[arg(long = "in", value_name = "NAME")]
    pub names: Vec<ToolchainName>,
    /// The platform [default: the one of this machine]
    #[arg(long)]
    pub platform: Option<Platform>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter provenance`
#[derive(Args, Debug)]
pub struct ProvenanceArgs {
    /// The toolchain
    pub name: ToolchainName,
    /// The platform [default: the one of this machine]
    #[arg(long)]
    pub platform: Option<Platform>,
    /// Sign the statement with the key in this file
    #[arg(long, value_name = "FILE", conflicts_with = "verify")]
    pub key: Option<PathBuf>,
    /// Check that this file has the statement of the toolchain, with a valid signature
    #[arg(long, value_name = "FILE", requires = "signer")]
    pub verify: Option<PathBuf>,
    /// The public keys that may have signed it
    #[arg(long, value_name = "KEY")]
    pub signer: Vec<String>,
}

/// `cotter which`
#[derive(Args, Debug)]
pub struct Which {
    /// The command
    #[arg(value_name = "COMMAND")]
    pub name: String,
    /// Print every tree that brings it, in the order of PATH
    #[arg(long, short)]
    pub all: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter hook`
#[derive(Args, Debug)]
pub struct Hook {
    /// The shell
    #[arg(value_enum)]
    pub shell: HookShell,
    /// Print the commands for the directory in which the shell is now: the hook calls this before each prompt
    #[arg(long)]
    pub update: bool,
}

/// A shell with a hook.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookShell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}
