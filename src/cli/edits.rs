//! The arguments of the verbs that change the manifest.

use clap::{Args, ValueEnum};

use crate::model::{Kind, ToolchainName};

/// `cotter add`
#[derive(Args, Debug)]
pub struct Add {
    /// The Debian packages, each a toolchain of its own: NAME, NAME=VERSION or NAME/SUITE
    #[arg(required = true, value_name = "PACKAGE")]
    pub packages: Vec<String>,
    /// The name of the toolchain, if there is one PACKAGE [default: that of the package]
    #[arg(long, value_name = "NAME")]
    pub name: Option<ToolchainName>,
    /// A further package of the toolchain, if there is one PACKAGE; may be repeated
    #[arg(long = "package", value_name = "PACKAGE")]
    pub further: Vec<String>,
    /// What the toolchain is for [default: what the name of the package tells]
    #[arg(long, value_enum)]
    pub kind: Option<KindChoice>,
    /// The suite; may be repeated [default: those of the toolchains that are there, or bookworm]
    #[arg(long, value_name = "SUITE")]
    pub suite: Vec<String>,
    /// Only change toolchains.toml and toolchains.lock
    #[arg(long)]
    pub no_setup: bool,
    /// Accept an index that has expired
    #[arg(long)]
    pub allow_expired: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// The kinds of toolchains that `add` writes.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum KindChoice {
    /// A compiler for C and C++.
    Cc,
    /// A Python interpreter.
    Python,
    /// Any other program.
    Tool,
    /// Headers and libraries.
    Library,
}

impl KindChoice {
    /// Returns the kind.
    pub fn kind(self) -> Kind {
        match self {
            KindChoice::Cc => Kind::Cc,
            KindChoice::Python => Kind::Python,
            KindChoice::Tool => Kind::Tool,
            KindChoice::Library => Kind::Library,
        }
    }
}

/// `cotter remove`
#[derive(Args, Debug)]
pub struct Remove {
    /// The toolchains and sets of requirements
    #[arg(required = true)]
    pub names: Vec<ToolchainName>,
    /// Only change toolchains.toml and toolchains.lock
    #[arg(long)]
    pub no_setup: bool,
    /// Accept an index that has expired
    #[arg(long)]
    pub allow_expired: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}
