//! Determines from a trace of `strace -f` which files the processes of a build or of a command
//! opened, and which programs they started.

mod actions;
mod calls;
mod command;

pub use actions::{OwnPlaces, look};
pub use command::{TracedMachine, observe};

/// The arguments of `strace` for the calls that [`look`] reads.
pub const ACTION_CALLS: &str = "trace=execve,openat,open,clone,clone3,vfork,fork";
/// The arguments of `strace` for the calls that [`observe`] reads.
pub const COMMAND_CALLS: &str = "trace=%file,fchdir,connect,clone,clone3,vfork,fork";
