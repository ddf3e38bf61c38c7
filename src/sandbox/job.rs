//! What a job runs, what it sees, how much of the machine it may use, and how it ended.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The hidden command that runs a job.
pub const COMMAND: &str = "__sandbox";

/// The exit code of the supervisor if it has reported the outcome.
pub const REPORTED: u8 = 0;

/// Its exit code if it could not report anything.
pub const FAILED: u8 = 70;

/// A job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// What the job sees.
    pub view: View,
    /// The program and its arguments. The program is a path in the job's view.
    pub command: Vec<String>,
}

/// What a job sees.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum View {
    /// Nothing of the machine.
    Sealed(Box<SealedView>),
    /// The machine without network access, and with some programs masked. This view is not for
    /// hostile code: the job may do what its caller may do. It keeps the environment, the user and
    /// the devices of the caller.
    Masked {
        /// The file that stands in the place of each masked program.
        mask: PathBuf,
        /// The masked files.
        programs: Vec<PathBuf>,
        /// The directory where the job starts.
        directory: PathBuf,
    },
}

/// The view of hostile code.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SealedView {
    /// The directories that appear below `/cotter`, by name. They cannot be written.
    pub trees: BTreeMap<String, PathBuf>,
    /// The directory that is copied to `/build/source` (or what the surroundings call it).
    pub source: PathBuf,
    /// The directory below `/build/source` where the job starts. It may be empty.
    pub directory: String,
    /// The name of the directory below `/build` that holds the result.
    pub result: String,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// How much of the machine the job may use.
    pub limits: Quota,
    /// Whether the caller serves the job at [`GATEWAY`]. The job has no other network.
    pub gateway: bool,
    /// Whether somebody sits at the job's terminal, which is standard error. Such a job has no result.
    pub terminal: bool,
    /// What stands at the places of an ordinary system, beside `/cotter`.
    pub system: SystemView,
    /// What a build could see of the machine, and should not depend on.
    pub surroundings: Surroundings,
}

/// Directories and links of the root, as programs expect them that were compiled for such a system.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SystemView {
    /// The directories of the root by path, such as `usr`. Each is a stack of directories, of which the
    /// first counts most. They cannot be written.
    pub directories: BTreeMap<String, Vec<PathBuf>>,
    /// The symlinks by path, with their targets.
    pub links: BTreeMap<String, String>,
    /// The directory of the root at which the result stands a second time, if there is one.
    pub result: Option<String>,
}

/// What a build could see of the machine. Every build sees the same, unless somebody wants to know
/// whether its result depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// The name of the machine.
    pub host: String,
    /// The number of the user and of the group.
    pub user: u32,
    /// The name of the user.
    pub user_name: String,
    /// The name of the directory of the root in which the build works.
    pub place: String,
    /// The number of processors that the build may use. `None`: all of the machine.
    pub processors: Option<usize>,
    /// The number of jobs that the build is told to run at once. `None`: as many as processors.
    pub jobs: Option<usize>,
    /// Whether directories list their entries in the reverse order.
    pub reversed: bool,
    /// Whether the kernel says that it is an old one. Source: personality(2), `UNAME26`.
    pub old_kernel: bool,
    /// Whether the addresses of the memory are the same in each run. Source: personality(2),
    /// `ADDR_NO_RANDOMIZE`.
    pub fixed_addresses: bool,
}

impl Default for Surroundings {
    fn default() -> Self {
        Surroundings {
            host: "cotter".to_owned(),
            user: 1000,
            user_name: "build".to_owned(),
            place: "build".to_owned(),
            processors: None,
            jobs: None,
            reversed: false,
            old_kernel: false,
            fixed_addresses: false,
        }
    }
}

/// The port of the job's loopback interface where its caller serves it.
pub const GATEWAY: u16 = 3128;

impl SealedView {
    /// Returns the variables that every job has. `path` are the trees of the job whose programs it
    /// finds by their names.
    pub fn environment(path: &[String]) -> BTreeMap<String, String> {
        let bins: Vec<String> = path.iter().map(|name| format!("/cotter/{name}/bin")).collect();
        [
            ("PATH", bins.join(":").as_str()),
            ("HOME", "/tmp"),
            ("TMPDIR", "/tmp"),
            ("LC_ALL", "C.UTF-8"),
            ("TZ", "UTC"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }
}

/// How much of the machine a job may use, and whether what it leaves is kept if it fails.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Quota {
    /// The number of its processes and threads.
    pub processes: u64,
    /// Its memory in bytes, including its files, which are in memory.
    pub memory: u64,
    /// Its files in bytes.
    pub space: u64,
    /// The time in seconds.
    pub seconds: u64,
    /// The bytes that it may print.
    pub output: u64,
    /// Whether its directory is handed to the caller if it fails.
    pub keep_failed: bool,
}

impl Quota {
    /// Returns the limits of builds on this machine: three quarters of its memory, of which files
    /// may take two thirds, and 256 processes and 32 more for each processor. `seconds` is the time.
    pub fn of_builds(seconds: u64) -> Quota {
        let info = rustix::system::sysinfo();
        let total = (info.totalram as u64).saturating_mul(u64::from(info.mem_unit).max(1));
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
        Quota {
            processes: 256 + 32 * processors,
            memory: 0,
            space: 0,
            seconds,
            output: 512 << 20,
            keep_failed: false,
        }
        .with_memory(total / 4 * 3)
    }

    /// Returns these limits with what the variables of the user say. `var` returns the value of one
    /// that is set.
    ///
    /// # Errors
    /// If a variable is no number, or one with which no build is possible.
    pub fn with_variables(self, var: &dyn Fn(&str) -> Option<String>) -> Result<Quota> {
        let number = |name: &str, least: u64, unit: &str| {
            let Some(text) = var(name) else { return Ok(None) };
            let wrong = || Error::user(format!("{name} is no number: {text:?}"));
            let value = text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
            let value = value.ok_or_else(wrong)?;
            if value < least as f64 {
                return Err(Error::user(format!("{name} is too small for any build"))
                    .because(format!("expected {least}{unit} or more, got {value}{unit}"))
                    .hint(format!("raise it, or unset {name}")));
            }
            Ok(Some(value))
        };
        let mut out = self;
        let mib = |value: f64| (value * f64::from(1 << 20)) as u64;
        if let Some(value) = number("COTTER_BUILD_TIMEOUT", 0, " s")? {
            out.seconds = value.max(1.0) as u64;
        }
        // With less, uv and the interpreter do not get as far as their own messages.
        if let Some(value) = number("COTTER_BUILD_MEMORY", 128, " MiB")? {
            out = out.with_memory(mib(value));
        }
        if let Some(value) = number("COTTER_BUILD_OUTPUT", 1, " MiB")? {
            out.output = mib(value);
        }
        if let Some(value) = number("COTTER_BUILD_PROCESSES", 16, "")? {
            out.processes = value as u64;
        }
        let falsy = ["0", "false", "no", "off", "n", "f"];
        let keeps = |text: String| !falsy.contains(&text.to_ascii_lowercase().as_str());
        out.keep_failed |= var("COTTER_KEEP_FAILED").is_some_and(keeps);
        Ok(out)
    }

    /// Returns the same limits with another one for the memory, in bytes.
    pub fn with_memory(self, memory: u64) -> Quota {
        Quota { memory, space: memory / 3 * 2, ..self }
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// Its program ended with this exit code.
    Code(i32),
    /// A signal ended its program.
    Signal(i32),
    /// It used more memory than it may. The value is the limit in bytes.
    Memory(u64),
    /// The machine had almost no memory left.
    MachineMemory,
    /// It ran for longer than it may. The value is the limit in seconds.
    Time(u64),
    /// It had as many processes and threads as it may. The value is the limit.
    Processes(u64),
    /// It printed more than it may. The value is the limit in bytes.
    Output(u64),
    /// It could not be watched any longer, so it was ended. The value is the reason.
    Unwatched(String),
    /// It could not be started.
    NotStarted {
        /// What failed.
        what: String,
        /// What the user can do.
        hint: Option<String>,
    },
}

impl Ended {
    /// Adds to the error of a job the reason for which it ended, and the variable that changes its
    /// limit. An exit code is no reason: what the job printed says more.
    pub fn explain(&self, error: Error) -> Error {
        match self {
            Ended::Memory(most) => error
                .because(format!(
                    "it used more memory than the {} MiB that a build may use",
                    most >> 20
                ))
                .hint("set COTTER_BUILD_MEMORY to the number of MiB that it may use"),
            Ended::MachineMemory => {
                error.because("almost no memory was left on this machine, so the build was ended")
            }
            Ended::Time(seconds) => error
                .because(format!("it ran for more than {seconds} s"))
                .hint("set COTTER_BUILD_TIMEOUT to the number of seconds that it may run"),
            Ended::Processes(most) => error
                .because(format!("it started more than the {most} processes and threads that a build may have"))
                .hint("set COTTER_BUILD_PROCESSES to the number that it may have, if it does not start them without end"),
            Ended::Output(most) => error
                .because(format!("it printed more than the {} MiB that a build may print", most >> 20))
                .hint("set COTTER_BUILD_OUTPUT to the number of MiB that it may print, or let its steps print less"),
            Ended::Signal(signal) => error.because(format!("signal {signal} ended it")),
            Ended::Code(_) | Ended::Unwatched(_) | Ended::NotStarted { .. } => error,
        }
    }
}

/// The time that builds see, in seconds since 1970: 1980-01-01, the earliest time that a zip file
/// can store.
pub const EPOCH: u64 = 315_532_800;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_the_user_change_the_limits() {
        let with = |pairs: &[(&str, &str)]| {
            let of = |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|p| p.1.to_owned());
            Quota::of_builds(7200).with_variables(&of)
        };
        let plain = with(&[]).unwrap();
        assert_eq!((plain.seconds, plain.output, plain.keep_failed), (7200, 512 << 20, false));
        let own = with(&[
            ("COTTER_BUILD_TIMEOUT", "0"),
            ("COTTER_BUILD_MEMORY", "300"),
            ("COTTER_BUILD_OUTPUT", "2.5"),
            ("COTTER_BUILD_PROCESSES", "40"),
            ("COTTER_KEEP_FAILED", "1"),
        ])
        .unwrap();
        assert_eq!((own.seconds, own.memory, own.space), (1, 300 << 20, 200 << 20));
        assert_eq!((own.output, own.processes, own.keep_failed), (5 << 19, 40, true));
        assert!(!with(&[("COTTER_KEEP_FAILED", "off")]).unwrap().keep_failed);
        for (name, value, why) in [
            ("COTTER_BUILD_MEMORY", "127", "too small for any build"),
            ("COTTER_BUILD_OUTPUT", "0.5", "too small for any build"),
            ("COTTER_BUILD_PROCESSES", "many", "is no number"),
            ("COTTER_BUILD_TIMEOUT", "-1", "is no number"),
            ("COTTER_BUILD_TIMEOUT", "inf", "is no number"),
        ] {
            let error = with(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(why), "{error}");
        }
    }
}
