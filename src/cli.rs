//! The command line. Help texts are written here and nowhere else.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::model::{Platform, ToolchainName};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Hermetic toolchains: pinned by hash, needing nothing of the host.
#[derive(Parser, Debug)]
#[command(name = "cotter", version, styles = STYLES, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
}

/// Flags that every command takes.
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
    /// How many inputs to work on at once [default: one a core, at least 4]
    #[arg(long, short = 'j', global = true, env = "COTTER_JOBS", value_name = "N", value_parser = parse_jobs, allow_negative_numbers = true, help_heading = "Global options")]
    pub jobs: Option<usize>,
    /// Say nothing but errors
    #[arg(long, short, global = true, env = "COTTER_QUIET", value_parser = clap::builder::FalseyValueParser::new(), conflicts_with = "verbose", help_heading = "Global options")]
    pub quiet: bool,
    /// Say more: mirrors, retries, reasons
    #[arg(long, short, global = true, env = "COTTER_VERBOSE", value_parser = clap::builder::FalseyValueParser::new(), help_heading = "Global options")]
    pub verbose: bool,
    /// Colours: by default on a terminal, unless NO_COLOR is set
    #[arg(
        long,
        global = true,
        env = "COTTER_COLOR",
        value_name = "WHEN",
        value_enum,
        default_value_t,
        help_heading = "Global options"
    )]
    pub color: Color,
    /// No progress bars
    #[arg(long, global = true, env = "COTTER_NO_PROGRESS", value_parser = clap::builder::FalseyValueParser::new(), help_heading = "Global options")]
    pub no_progress: bool,
}

fn parse_jobs(text: &str) -> Result<usize, String> {
    crate::model::decimal(text)
        .and_then(|n| usize::try_from(n).ok())
        .filter(|n| (1..=256).contains(n))
        .ok_or_else(|| "expected a number from 1 to 256".to_owned())
}

/// A hundred years: longer than any store.
const MOST_DAYS: u64 = 36_525;

fn parse_days(text: &str) -> Result<u32, String> {
    crate::model::decimal(text)
        .filter(|n| *n <= MOST_DAYS)
        .and_then(|n| u32::try_from(n).ok())
        .ok_or_else(|| format!("expected a number of days from 0 to {MOST_DAYS}"))
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
    /// Start a toolchains.toml
    Init(Init),
    /// Pin every byte of the toolchains in toolchains.lock
    Lock(Lock),
    /// Make the locked toolchains ready to use
    Setup(Setup),
    /// Run a command with toolchains in front of PATH
    Exec(Exec),
    /// Start a shell with toolchains in front of PATH
    Shell(Shell),
    /// Print the variables that `exec` would set
    Env(Env),
    /// Print where a toolchain's tree lies
    Path(PathArgs),
    /// Make a virtual environment of locked Python packages
    Venv(Venv),
    /// Write the locked Python packages for other tools
    Export(Export),
    /// List the toolchains of the lock
    List(List),
    /// Check the trees in the store
    Verify(Verify),
    /// Write the files by which other tools use the toolchains
    Emit(Emit),
    /// Find reaches to the host
    Audit(Audit),
    /// Delete what no project uses
    Gc(Gc),
    /// Say what of this machine helps or hinders
    Doctor(Doctor),
    /// Print shell completions
    Completions(Completions),
    /// Print the JSON Schema of a file
    Schema(Schema),
}

/// `cotter init`
#[derive(Args, Debug)]
pub struct Init {
    /// What to start with
    #[arg(long, value_enum, default_value_t)]
    pub template: Template,
    /// Where [default: here]
    pub dir: Option<PathBuf>,
}

/// What `init` starts with.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Template {
    /// GCC 12 and Python 3.11.
    #[default]
    Full,
    /// GCC 12.
    Cpp,
    /// Python 3.11.
    Python,
}

/// `cotter lock`
#[derive(Args, Debug)]
pub struct Lock {
    /// Only say what is stale, and why; exit with 3 if anything is. Needs no network
    #[arg(long, conflicts_with = "upgrade")]
    pub check: bool,
    /// Move to the newest versions: of the named toolchains, or of all
    #[arg(long, value_name = "NAME", num_args = 0..)]
    pub upgrade: Option<Vec<ToolchainName>>,
    /// Lock everything anew, without reading the lock that is there
    #[arg(long, conflicts_with_all = ["check", "upgrade"])]
    pub fresh: bool,
    /// Accept an index past its Valid-Until
    #[arg(long)]
    pub allow_expired: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter setup`
#[derive(Args, Debug)]
pub struct Setup {
    /// Which toolchains [default: all of this platform]
    pub names: Vec<ToolchainName>,
    /// For another platform than this machine's
    #[arg(long)]
    pub platform: Option<Platform>,
    /// Accept an index past its Valid-Until, if something must be locked
    #[arg(long)]
    pub allow_expired: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter exec`
#[derive(Args, Debug)]
pub struct Exec {
    /// Which toolchains, before `--` [default: all of this platform]
    pub names: Vec<ToolchainName>,
    /// Nothing of the host on PATH
    #[arg(long)]
    pub pure: bool,
    /// The command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<std::ffi::OsString>,
}

/// `cotter shell`
#[derive(Args, Debug)]
pub struct Shell {
    /// Which toolchains [default: all of this platform]
    pub names: Vec<ToolchainName>,
    /// Nothing of the host on PATH
    #[arg(long)]
    pub pure: bool,
}

/// `cotter env`
#[derive(Args, Debug)]
pub struct Env {
    /// Which toolchains [default: all of this platform]
    pub names: Vec<ToolchainName>,
    /// As a JSON object
    #[arg(long, group = "format")]
    pub json: bool,
    /// For direnv's .envrc: eval "$(cotter env --direnv)"
    #[arg(long, group = "format")]
    pub direnv: bool,
    /// Into GitHub Actions' GITHUB_ENV and GITHUB_PATH files
    #[arg(long, group = "format")]
    pub github: bool,
}

/// `cotter path`
#[derive(Args, Debug)]
pub struct PathArgs {
    /// Which toolchain [with --bin: all]
    #[arg(required_unless_present = "bin")]
    pub name: Option<ToolchainName>,
    /// The directory of its commands, ready for PATH: they start without cotter
    #[arg(long)]
    pub bin: bool,
    /// For another platform than this machine's
    #[arg(long)]
    pub platform: Option<Platform>,
}

/// `cotter venv`
#[derive(Args, Debug)]
pub struct Venv {
    /// Which set of requirements [default: the only one]
    pub name: Option<ToolchainName>,
    /// Where [default: .venv]
    pub dir: Option<PathBuf>,
    /// Replace a directory that cotter did not make
    #[arg(long, short)]
    pub force: bool,
}

/// `cotter export`
#[derive(Args, Debug)]
pub struct Export {
    /// In which format
    #[arg(value_enum)]
    pub format: ExportFormat,
    /// Which set of requirements
    pub name: ToolchainName,
    /// Where to write it [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// The formats of other tools.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// pylock.toml (PEP 751), with the addresses that the index in force gives.
    Pylock,
}

/// `cotter list`
#[derive(Args, Debug)]
pub struct List {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter verify`
#[derive(Args, Debug)]
pub struct Verify {
    /// Which toolchains [default: every tree in the store]
    pub names: Vec<ToolchainName>,
    /// Only the trees of one platform
    #[arg(long)]
    pub platform: Option<Platform>,
    /// Read every byte
    #[arg(long)]
    pub deep: bool,
    /// Fetch and compose anew what is broken
    #[arg(long)]
    pub repair: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter emit`
#[derive(Args, Debug)]
pub struct Emit {
    /// For which tool
    #[arg(value_enum)]
    pub tool: Tool,
    /// Write nothing; show what would change, and exit with 3 if anything would
    #[arg(long)]
    pub check: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// The tools that files are written for.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// A folder of repository rules and toolchains.
    Bazel,
}

/// `cotter audit`
#[derive(Args, Debug)]
pub struct Audit {
    /// What to look at
    #[command(subcommand)]
    pub what: AuditWhat,
}

/// What `audit` looks at.
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
    /// Which targets
    #[arg(default_value = "//...")]
    pub targets: Vec<String>,
    /// Also build them where the host's compilers and interpreters are masked, and trace what is opened
    #[arg(long)]
    pub jail: bool,
    /// The program to run as Bazel
    #[arg(long, env = "COTTER_BAZEL", default_value = "bazel", value_name = "PROGRAM")]
    pub bazel: PathBuf,
    /// A flag for Bazel before its command; may stand several times
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    pub startup: Vec<String>,
    /// A flag for Bazel's build and aquery; may stand several times
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    pub flag: Vec<String>,
    /// How to print the findings
    #[command(flatten)]
    pub output: AuditOutput,
}

/// `cotter audit tree`
#[derive(Args, Debug)]
pub struct AuditTree {
    /// Which toolchains [default: all of this platform]
    pub names: Vec<ToolchainName>,
    /// How to print the findings
    #[command(flatten)]
    pub output: AuditOutput,
}

/// How findings are printed.
#[derive(Args, Debug)]
pub struct AuditOutput {
    /// As JSON
    #[arg(long, group = "format")]
    pub json: bool,
    /// As SARIF 2.1.0
    #[arg(long, group = "format")]
    pub sarif: bool,
}

/// `cotter gc`
#[derive(Args, Debug)]
pub struct Gc {
    /// Delete nothing, only tell
    #[arg(long)]
    pub dry_run: bool,
    /// Keep what was made in the last N days
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = parse_days, allow_negative_numbers = true)]
    pub keep_days: u32,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter doctor`
#[derive(Args, Debug)]
pub struct Doctor {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `cotter completions`
#[derive(Args, Debug)]
pub struct Completions {
    /// Which shell
    pub shell: clap_complete::Shell,
}

/// `cotter schema`
#[derive(Args, Debug)]
pub struct Schema {
    /// Of which file
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
}
