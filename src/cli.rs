//! The command line. Help texts are written here and nowhere else.

mod actions;
mod builds;
mod caches;
mod edits;
mod looks;
mod transfers;
mod values;

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use values::parse_days;

use crate::emit::EMITTERS;
use crate::manifest::MOST_JOBS;
use crate::model::{Platform, ToolchainName};
use crate::report::{self, Report};

pub use actions::{
    BazelFlags, CompileCommands, Man, NixStore, Outdated, Own, OwnWhat, Run, Schema, SchemaFile,
    SearchArgs,
};
pub use builds::{Build, Challenge, Log, Rebuild};
pub use caches::{
    CacheAdd, CacheArgs, CacheGc, CacheKeyArgs, CacheList, CachePush, CacheRemove, CacheServe,
    CacheWhat,
};
pub use edits::{Add, Remove};
pub use looks::{Diff, Hook, HookShell, ProvenanceArgs, TreeArgs, Which, WhyArgs};
pub use transfers::{Export, ExportNix, ExportSysroot, ExportWhat, Import, ImportNix, ImportWhat};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Hermetic toolchains: pinned by hash, without any file of the host.
#[derive(Parser, Debug)]
#[command(name = "cotter", version, styles = STYLES, max_term_width = 100)]
pub struct Cli {
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
    /// The flags that every command accepts.
    #[command(flatten)]
    pub global: Global,
}

/// The flags that every command accepts.
#[derive(Args, Debug, Clone, Default)]
pub struct Global {
    /// The manifest, or its directory [default: toolchains.toml here or above]
    #[arg(
        long,
        global = true,
        env = "COTTER_MANIFEST",
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub manifest: Option<PathBuf>,
    /// The directory of the store [default: ~/.local/share/cotter]
    #[arg(
        long,
        global = true,
        env = "COTTER_STORE",
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub store: Option<PathBuf>,
    /// Never use the network
    #[arg(long, global = true, env = "COTTER_OFFLINE", value_parser = clap::builder::FalseyValueParser::new(), help_heading = "Global options")]
    pub offline: bool,
    /// Fail if the lock would change
    #[arg(long, global = true, env = "COTTER_LOCKED", value_parser = clap::builder::FalseyValueParser::new(), conflicts_with = "frozen", help_heading = "Global options")]
    pub locked: bool,
    /// Use the lock as it is, without checking it against the manifest
    #[arg(long, global = true, env = "COTTER_FROZEN", value_parser = clap::builder::FalseyValueParser::new(), help_heading = "Global options")]
    pub frozen: bool,
    /// Accept for this run what the project brings beyond the known sources; see `cotter trust`
    #[arg(long, global = true, env = "COTTER_TRUST", value_parser = clap::builder::FalseyValueParser::new(), help_heading = "Global options")]
    pub trust: bool,
    /// The number of inputs to unpack in parallel, while more are fetched; 1 does one thing at a time [default: the number of cores, at least 4]
    #[arg(long, short = 'j', global = true, env = "COTTER_JOBS", value_name = "N", value_parser = parse_jobs, allow_negative_numbers = true, help_heading = "Global options")]
    pub jobs: Option<usize>,
    /// Print only errors
    #[arg(long, short, global = true, env = "COTTER_QUIET", value_parser = clap::builder::FalseyValueParser::new(), conflicts_with = "verbose", help_heading = "Global options")]
    pub quiet: bool,
    /// Print details: mirrors, retries, reasons
    #[arg(long, short, global = true, env = "COTTER_VERBOSE", value_parser = clap::builder::FalseyValueParser::new(), help_heading = "Global options")]
    pub verbose: bool,
    /// When to use colours [default: auto, on a terminal, unless NO_COLOR is set]
    #[arg(
        long,
        global = true,
        env = "COTTER_COLOR",
        value_name = "WHEN",
        value_enum,
        help_heading = "Global options"
    )]
    pub color: Option<Color>,
    /// Do not show progress bars
    #[arg(long, global = true, env = "COTTER_NO_PROGRESS", value_parser = clap::builder::FalseyValueParser::new(), help_heading = "Global options")]
    pub no_progress: bool,
    /// Whether what a build leaves is kept if it fails. The verbs that build have a flag for it.
    #[arg(skip)]
    pub keep_failed: bool,
}

fn parse_jobs(text: &str) -> Result<usize, String> {
    crate::model::decimal(text)
        .filter(|n| (1..=MOST_JOBS).contains(n))
        .and_then(|n| usize::try_from(n).ok())
        .ok_or_else(|| format!("expected a number from 1 to {MOST_JOBS}"))
}

/// Parses the name of a set of requirements.
fn parse_set(text: &str) -> Result<ToolchainName, String> {
    match text.contains(['.', '/']) {
        true => Err(format!(
            "a set of requirements comes first, and then the directory: cotter venv NAME {text}"
        )),
        false => text.parse(),
    }
}

/// When to use colours.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Write a first toolchains.toml
    Init(Init),
    /// Add toolchains of Debian packages to toolchains.toml, lock them and set them up
    Add(Add),
    /// Remove toolchains from toolchains.toml and toolchains.lock
    Remove(Remove),
    /// Pin every byte of the toolchains in toolchains.lock
    Lock(Lock),
    /// Print what the change of toolchains.lock means
    Diff(Diff),
    /// Tell which locked packages are not the newest
    Outdated(Outdated),
    /// Find packages and their versions in the indexes
    Search(SearchArgs),
    /// Make the locked toolchains ready to use
    Setup(Setup),
    /// Build what is built from source, or go into its sandbox
    Build(Build),
    /// Print what the last build of a toolchain has printed
    Log(Log),
    /// Run a command with the toolchains first on PATH
    Exec(Exec),
    /// Run a task of toolchains.toml, or list the tasks
    Run(Run),
    /// Start a shell with the toolchains first on PATH
    Shell(Shell),
    /// Print the variables that `exec` would set, once the toolchains are set up
    Env(Env),
    /// Print the directory of a toolchain that `setup` made ready
    Path(PathArgs),
    /// Print the file of a command, and tell the toolchain that brings it
    Which(Which),
    /// Create a virtual environment with locked Python packages
    Venv(Venv),
    /// List the toolchains of the lock
    List(List),
    /// Print the packages of the toolchains, and which of them need which
    Tree(TreeArgs),
    /// Tell why a package is in the toolchains
    Why(WhyArgs),
    /// Print what a toolchain was made from, as a statement to sign and verify
    Provenance(ProvenanceArgs),
    /// Check the trees in the store
    Verify(Verify),
    /// Build again what the lock has built, and compare
    Rebuild(Rebuild),
    /// Compare what binary caches have with the lock
    Challenge(Challenge),
    /// Write the files with which other tools use the toolchains
    Emit(Emit),
    /// Write compile_commands.json, with what Bazel compiles
    CompileCommands(CompileCommands),
    /// Write a toolchain as a plain directory, or give it to Nix
    Export(Export),
    /// Take paths over from a store of Nix on this machine
    Import(Import),
    /// Find uses of files of the host
    Audit(Audit),
    /// Accept what this project brings beyond the known sources, as archives by URL
    Trust(Trust),
    /// Delete trees and inputs that no project uses
    Gc(Gc),
    /// Look after the downloads, and share trees through binary caches
    Cache(CacheArgs),
    /// Check whether this machine has what cotter needs
    Doctor(Doctor),
    /// Tell about cotter itself
    #[command(name = "self")]
    Own(Own),
    /// Print what lets a shell enter the environment of a project with its directory
    Hook(Hook),
    /// Print shell completions
    Completions(Completions),
    /// Write the manual pages
    Man(Man),
    /// Print the JSON Schema of a file
    Schema(Schema),
}

/// `cotter init`
#[derive(Args, Debug)]
pub struct Init {
    /// The toolchains to start with [default: what fits the files of the directory, or `full`]
    #[arg(long, value_enum)]
    pub template: Option<Template>,
    /// The directory [default: the current one]
    pub dir: Option<PathBuf>,
}

/// The toolchains that `init` writes.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    /// GCC 12 and Python 3.11
    Full,
    /// GCC 12
    Cpp,
    /// Python 3.11
    Python,
    /// Python 3.11 and a set of packages, which uv resolves
    Uv,
    /// A program
    Tool,
    /// GCC 12 and libraries
    Library,
    /// GCC 12 and a compiler for aarch64
    Cross,
    /// GCC 12 and Python 3.11 for Bazel
    Bazel,
    /// PostgreSQL, Redis and nginx
    Services,
}

/// `cotter lock`
#[derive(Args, Debug)]
pub struct Lock {
    /// Only print what is stale, and why; exit with 3 if anything is. Needs no network
    #[arg(long, conflicts_with = "upgrade")]
    pub check: bool,
    /// Update to the newest versions: the named toolchains, or all
    #[arg(long, value_name = "NAME", num_args = 0..)]
    pub upgrade: Option<Vec<ToolchainName>>,
    /// Lock everything again, without using the existing lock
    #[arg(long, conflicts_with_all = ["check", "upgrade"])]
    pub fresh: bool,
    /// Only print what would change. Needs the network, and makes trees in the store
    #[arg(long, conflicts_with = "check")]
    pub dry_run: bool,
    /// Accept an index that has expired
    #[arg(long)]
    pub allow_expired: bool,
    /// Keep what a build leaves that fails, and tell where
    #[arg(long)]
    pub keep_failed: bool,
    /// Also print where the time went, for each toolchain and phase
    #[arg(long)]
    pub timings: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter setup`
#[derive(Args, Debug)]
pub struct Setup {
    /// The toolchains [default: all of this platform]
    pub names: Vec<ToolchainName>,
    /// The platform [default: the one of this machine]
    #[arg(long)]
    pub platform: Option<Platform>,
    /// Accept an index that has expired, if something must be locked
    #[arg(long)]
    pub allow_expired: bool,
    /// Keep what a build leaves that fails, and tell where
    #[arg(long)]
    pub keep_failed: bool,
    /// Also print where the time went, for each toolchain and phase
    #[arg(long)]
    pub timings: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter exec`
#[derive(Args, Debug)]
pub struct Exec {
    /// The toolchains, before `--` [default: all of this platform]
    pub names: Vec<ToolchainName>,
    /// Leave the PATH of the host out
    #[arg(long, conflicts_with = "host")]
    pub pure: bool,
    /// Let the command and its children start every program of the host
    #[arg(long)]
    pub host: bool,
    /// How closures of Nix run [default: relocated]
    #[arg(long, value_name = "HOW")]
    pub nix_store: Option<NixStore>,
    /// The command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<std::ffi::OsString>,
}

/// `cotter shell`
#[derive(Args, Debug)]
pub struct Shell {
    /// The toolchains [default: all of this platform]
    pub names: Vec<ToolchainName>,
    /// Leave the PATH of the host out
    #[arg(long, conflicts_with = "host")]
    pub pure: bool,
    /// Let programs start every program of the host
    #[arg(long)]
    pub host: bool,
}

/// `cotter env`
#[derive(Args, Debug)]
pub struct Env {
    /// The toolchains [default: all of this platform]
    pub names: Vec<ToolchainName>,
    /// Print a JSON object
    #[arg(long, group = "format")]
    pub json: bool,
    /// Print for direnv; in .envrc, after `cotter setup --quiet`: eval "$(cotter env --direnv)"
    #[arg(long, group = "format")]
    pub direnv: bool,
    /// Append to the files GITHUB_ENV and GITHUB_PATH of GitHub Actions
    #[arg(long, group = "format")]
    pub github: bool,
    /// Let programs start every program of the host
    #[arg(long)]
    pub host: bool,
}

/// `cotter path`
#[derive(Args, Debug)]
pub struct PathArgs {
    /// The toolchain [default with --bin: all]
    #[arg(required_unless_present = "bin")]
    pub name: Option<ToolchainName>,
    /// Print the directory of its commands, for PATH: they start without cotter
    #[arg(long)]
    pub bin: bool,
    /// The platform [default: the one of this machine]
    #[arg(long)]
    pub platform: Option<Platform>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter venv`
#[derive(Args, Debug)]
pub struct Venv {
    /// The set of requirements [default: the only one]
    #[arg(value_parser = parse_set)]
    pub name: Option<ToolchainName>,
    /// The directory [default: .venv]
    pub dir: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// Replace a directory that cotter did not create
    #[arg(long, short)]
    pub force: bool,
}

/// `cotter list`
#[derive(Args, Debug)]
pub struct List {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter verify`
#[derive(Args, Debug)]
pub struct Verify {
    /// The toolchains [default: every tree in the store]
    pub names: Vec<ToolchainName>,
    /// Only the trees of one platform
    #[arg(long)]
    pub platform: Option<Platform>,
    /// Read every byte
    #[arg(long)]
    pub deep: bool,
    /// Make broken trees again
    #[arg(long)]
    pub repair: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter emit`
#[derive(Args, Debug)]
pub struct Emit {
    /// The tool that reads the files
    #[arg(value_parser = emitters())]
    pub tool: String,
    /// The part of the lock to emit; for pylock, the set of requirements
    pub names: Vec<ToolchainName>,
    /// The file to write, if the tool reads a single file [default: standard output]
    #[arg(long, short, value_name = "FILE", conflicts_with = "check")]
    pub output: Option<PathBuf>,
    /// Write nothing, print what would change, and exit with 3 if anything would
    #[arg(long)]
    pub check: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// The names of the emitters.
fn emitters() -> PossibleValuesParser {
    EMITTERS.iter().map(|e| PossibleValue::new(e.name()).help(e.about())).collect::<Vec<_>>().into()
}

/// `cotter audit`
#[derive(Args, Debug)]
pub struct Audit {
    /// The object of the audit
    #[command(subcommand)]
    pub what: AuditWhat,
}

/// The objects that `audit` can examine.
#[derive(Subcommand, Debug)]
pub enum AuditWhat {
    /// A Bazel workspace: its actions, repositories and outputs
    Bazel(AuditBazel),
    /// Trees in the store
    Tree(AuditTree),
}

/// `cotter audit bazel`
#[derive(Args, Debug)]
pub struct AuditBazel {
    /// The targets
    #[arg(default_value = "//...")]
    pub targets: Vec<String>,
    /// Also build them where the compilers and interpreters of the host are masked, and trace which files are opened
    #[arg(long)]
    pub jail: bool,
    /// The Bazel
    #[command(flatten)]
    pub bazel: BazelFlags,
    /// How to print the findings
    #[command(flatten)]
    pub output: AuditOutput,
}

/// `cotter audit tree`
#[derive(Args, Debug)]
pub struct AuditTree {
    /// The toolchains [default: all of this platform]
    pub names: Vec<ToolchainName>,
    /// Also run a command with the toolchains, and trace which files of the host it opens
    #[arg(long, value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true, conflicts_with = "command")]
    run: Vec<std::ffi::OsString>,
    /// The same as --run
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<std::ffi::OsString>,
    /// How to print the findings
    #[command(flatten)]
    pub output: AuditOutput,
}

impl AuditTree {
    /// Returns the command to run, with its arguments, or nothing.
    pub fn command(&self) -> Option<(&std::ffi::OsString, &[std::ffi::OsString])> {
        if self.run.is_empty() { self.command.split_first() } else { self.run.split_first() }
    }
}

/// How findings are printed.
#[derive(Args, Debug)]
pub struct AuditOutput {
    /// The format [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = reports(), group = "output")]
    format: Option<String>,
    /// The same as --format json
    #[arg(long, group = "output")]
    pub json: bool,
    /// The same as --format sarif (SARIF 2.1.0)
    #[arg(long, group = "output")]
    sarif: bool,
}

/// The names of the reports.
fn reports() -> clap::builder::PossibleValuesParser {
    report::REPORTS.iter().map(|r| r.name()).collect::<Vec<_>>().into()
}

impl AuditOutput {
    /// Returns the report that the user selected.
    pub fn report(&self) -> &'static dyn Report {
        let name = match (&self.format, self.json, self.sarif) {
            (Some(name), ..) => name.as_str(),
            (None, true, _) => "json",
            (None, _, true) => "sarif",
            (None, ..) => return report::REPORTS[0],
        };
        report::named(name).expect("the command line takes the names of reports only")
    }

    /// Whether errors are printed as JSON, too.
    pub fn is_json(&self) -> bool {
        self.report().name() == "json"
    }
}

/// `cotter trust`
#[derive(Args, Debug)]
pub struct Trust {
    /// Accept nothing, only print what the project brings
    #[arg(long)]
    pub list: bool,
    /// Forget what was accepted for this project
    #[arg(long, conflicts_with_all = ["list", "json"])]
    pub revoke: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter gc`
#[derive(Args, Debug)]
pub struct Gc {
    /// Delete nothing, only print what would be deleted
    #[arg(long)]
    pub dry_run: bool,
    /// Keep what was made in the last N days
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = parse_days, allow_negative_numbers = true)]
    pub keep_days: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter doctor`
#[derive(Args, Debug)]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter completions`
#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}
