//! What a difference of two builds comes from.

use super::moment::Window;

/// What a difference comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Influence {
    /// The time of the build.
    Time,
    /// The directory of the build.
    Path,
    /// The name of the machine.
    Host,
    /// The name or the number of the user.
    User,
    /// The number of jobs that run at once.
    Jobs,
    /// The number of processors.
    Processors,
    /// The order in which a directory lists its entries.
    DirectoryOrder,
    /// An order that is not the same in each run: that of jobs, of a hash table or of addresses.
    RandomOrder,
    /// The locale.
    Locale,
    /// The mask of the modes of files.
    Umask,
    /// The version of the kernel.
    Kernel,
    /// What the kernel says of this machine or of its boot.
    Machine,
    /// Addresses of memory, which are in bytes that nobody has set.
    Memory,
    /// Random values.
    Random,
    /// Something of the surroundings, which could not be told from the rest.
    Surroundings,
}

impl Influence {
    /// The word of the cause in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Influence::Time => "time",
            Influence::Path => "path",
            Influence::Host => "host",
            Influence::User => "user",
            Influence::Jobs => "jobs",
            Influence::Processors => "processors",
            Influence::DirectoryOrder => "directory-order",
            Influence::RandomOrder => "random-order",
            Influence::Locale => "locale",
            Influence::Umask => "umask",
            Influence::Kernel => "kernel",
            Influence::Machine => "machine",
            Influence::Memory => "memory",
            Influence::Random => "random",
            Influence::Surroundings => "surroundings",
        }
    }

    /// What the cause is, in words.
    pub fn about(self) -> &'static str {
        match self {
            Influence::Time => "the time of the build",
            Influence::Path => "the directory of the build",
            Influence::Host => "the name of the machine",
            Influence::User => "the user",
            Influence::Jobs => "the number of jobs",
            Influence::Processors => "the number of processors",
            Influence::DirectoryOrder => "the order in which directories list their entries",
            Influence::RandomOrder => {
                "an order that changes with each run: of parallel jobs, of a hash table, of addresses"
            }
            Influence::Locale => "the locale, which changes how texts are sorted",
            Influence::Umask => "the umask, which changes the modes of files",
            Influence::Kernel => "the version of the kernel",
            Influence::Machine => "this machine, or its boot",
            Influence::Memory => "addresses of memory: bytes that were never set, or pointers",
            Influence::Random => "random values, or a time in a form that is not known",
            Influence::Surroundings => "the surroundings of the build, it is not known which",
        }
    }
}

/// A value that differs between two builds.
#[derive(Debug, Clone)]
pub struct Pair {
    /// What has the value.
    pub cause: Influence,
    /// The value of the old build.
    pub old: String,
    /// The value of the new build.
    pub new: String,
}

/// What is known of two builds.
#[derive(Debug, Clone)]
pub struct KnownBuilds {
    /// The values that differ.
    pub pairs: Vec<Pair>,
    /// When the old build ran, if that is known.
    pub old_time: Option<Window>,
    /// When the new build ran.
    pub new_time: Window,
    /// Whether directories listed their entries in another order.
    pub reversed: bool,
}
