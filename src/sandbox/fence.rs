//! A second fence around hostile code: Landlock. Without the first one, the mounts, it still could write
//! to nothing but its own places. A kernel that has none, or an older one, leaves out what it does not
//! know. Source: landlock(7).

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
};
use rustix::fd::AsFd;

use super::job::SealedView;
use super::mounts::{DEVICES, writable};

/// The newest generation of Landlock whose rights are named here.
const NEWEST: ABI = ABI::V6;

/// Lets this process and its children read and execute everything that it sees, and write to the
/// places of the job and to the devices. They can neither connect to an abstract socket nor signal a
/// process outside of the job.
///
/// # Errors
/// If the kernel has Landlock, and refuses the rules.
pub fn close(sealed: &SealedView) -> io::Result<()> {
    rules(sealed).map_err(|e| io::Error::other(format!("can't restrict the job: {e}")))
}

fn rules(sealed: &SealedView) -> Result<(), Box<dyn std::error::Error>> {
    let all = AccessFs::from_all(NEWEST);
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    let rules = beneath(rules, "/", AccessFs::from_read(NEWEST))?;
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
    let mut rules = DEVICES
        .iter()
        .try_fold(rules, |rules, name| beneath(rules, Path::new("/dev").join(name), device))?;
    let places = writable(sealed).map(|(place, ..)| place);
    // A second mount of a place is a place of its own.
    for place in places.into_iter().chain(sealed.system.result.as_deref()) {
        rules = beneath(rules, Path::new("/").join(place), all)?;
    }
    if sealed.terminal {
        // It is in a file system that the job does not see, and can be opened by /dev/stdin.
        let stream = io::stderr();
        let terminal = PathBeneath::new(stream.as_fd(), device);
        rules = rules.add_rule(terminal)?;
    }
    rules.restrict_self()?;
    Ok(())
}

fn beneath(
    rules: RulesetCreated,
    path: impl AsRef<Path>,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, Box<dyn std::error::Error>> {
    let place = PathFd::new(path)?;
    Ok(rules.add_rule(PathBeneath::new(place, access))?)
}

/// Whether the kernel has Landlock.
pub fn has_landlock() -> bool {
    let asked = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let made = asked.handle_access(AccessFs::from_all(ABI::V1)).and_then(Ruleset::create);
    made.is_ok()
}
