//! The arguments of the verbs that give toolchains to others, and take from them.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::model::{Platform, ToolchainName};

/// `cotter export`
#[derive(Args, Debug)]
pub struct Export {
    /// The form
    #[command(subcommand)]
    pub what: ExportWhat,
}

/// The forms in which a toolchain is exported.
#[derive(Subcommand, Debug)]
pub enum ExportWhat {
    /// The sysroot for a compiler that cotter does not manage
    Sysroot(ExportSysroot),
    /// Give toolchains to a store of Nix on this machine
    Nix(ExportNix),
    /// What an older cotter exported.
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// `cotter export sysroot`
#[derive(Args, Debug)]
pub struct ExportSysroot {
    /// The directory to write
    pub dir: PathBuf,
    /// The toolchain of kind "sysroot" [default: the only one]
    pub name: Option<ToolchainName>,
    /// The platform of the programs that are linked with it [default: the one of this machine]
    #[arg(long)]
    pub platform: Option<Platform>,
    /// Replace a directory that cotter did not write
    #[arg(long, short)]
    pub force: bool,
}

/// `cotter export nix`
#[derive(Args, Debug)]
pub struct ExportNix {
    /// The toolchains [default: all of this platform]
    pub names: Vec<ToolchainName>,
    /// The platform [default: the one of this machine]
    #[arg(long)]
    pub platform: Option<Platform>,
    /// The directory below which the nix/store of Nix lies [default: /]
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// Let Nix accept what no key that it knows has signed; only for users whom Nix trusts
    #[arg(long)]
    pub no_check_sigs: bool,
}

/// `cotter import`
#[derive(Args, Debug)]
pub struct Import {
    /// The source
    #[command(subcommand)]
    pub what: ImportWhat,
}

/// The sources from which something is imported.
#[derive(Subcommand, Debug)]
pub enum ImportWhat {
    /// Take paths over from a store of Nix on this machine, with all to which they refer
    Nix(ImportNix),
}

/// `cotter import nix`
#[derive(Args, Debug)]
pub struct ImportNix {
    /// The paths, or links to them
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// The directory below which the nix/store of Nix lies [default: /]
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
    /// Find references by reading every byte, without asking Nix
    #[arg(long)]
    pub scan: bool,
}
