//! The sandbox: a process that sees the trees it was given, and nothing else of the machine.
//!
//! `cotter` starts itself as `cotter __sandbox`, writes a [`Job`] to its standard input, and reads a
//! line with the outcome, and then the result as a tar archive, from its standard output. What the
//! job itself prints arrives on standard error. Three processes take part:
//!
//! | process | what it does |
//! |---|---|
//! | the caller | starts the job, keeps the end of its output, unpacks its result under the policy for archives |
//! | the supervisor | enters new namespaces, and waits |
//! | process 1 of the job | mounts what the job sees, gives up every privilege, starts the job, watches it, and writes its result |
//!
//! No file of the machine can be written: the job works in memory, and its result is a stream of
//! bytes. Each process is killed by the kernel when the one above it ends, and with process 1 all
//! processes of the job end. Sources: namespaces(7), `user_namespaces(7)`, `pivot_root(2)`, overlayfs
//! (the kernel's `Documentation/filesystems/overlayfs.rst`), seccomp(2),
//! landlock(7), capabilities(7), keyrings(7).

mod confine;
mod enter;
mod evaluation;
mod fence;
mod job;
mod log;
mod mounts;
mod nix_store;
mod run;
mod send;
mod sys;
mod terminal;
mod watch;

pub use enter::enter;
pub use evaluation::{
    EVALUATION, EVALUATION_HOME, EvaluationView, OUT_OF_MEMORY, enter_evaluation,
};
pub use fence::has_landlock;
pub use job::{
    COMMAND, EPOCH, Ended, GATEWAY, Job, Quota, SealedView, Surroundings, SystemView, View,
};
pub use nix_store::{NIX_STORE, enter_nix_store};
pub use run::{JobOutcome, Printed, unpacked};
pub use terminal::need_terminal;
