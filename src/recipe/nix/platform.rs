//! The platform of what a closure brings. A store path does not tell its platform, so a manifest can name
//! one of another.

use crate::error::{Error, Result};
use crate::lockfile::Plan;
use crate::model::{MemberPath, Platform};
use crate::relocate::elf::Elf;
use crate::tree::Tree;

/// Checks that programs or libraries are not all for another platform than that of the toolchain. Some may
/// be: a debugger brings stubs, and a closure may have programs of 32 bits.
///
/// # Errors
/// If there are some for another platform, and none for that of the toolchain, or if a staged file cannot
/// be read.
pub fn check<'p>(
    plan: &Plan,
    tree: &Tree,
    files: impl Iterator<Item = &'p MemberPath>,
) -> Result<()> {
    let mut other = None;
    for path in files {
        let Some((_, blob)) = tree.file(path) else { continue };
        let Some(elf) = Elf::parse(&blob.head(4096)?) else { continue };
        if elf.machine == plan.platform.elf_machine() {
            return Ok(());
        }
        let platform = Platform::ALL.iter().find(|one| one.elf_machine() == elf.machine);
        other = other.or(platform.map(|platform| (path, platform)));
    }
    let Some((path, platform)) = other else { return Ok(()) };
    Err(Error::user(format!(
        "{} is for {}, and its closure for another platform",
        plan.name, plan.platform
    ))
    .because(format!("{path} is for {platform}"))
    .about(plan.name.as_str())
    .hint(format!(
        "name a path that was built for it: [toolchains.{}.platform.{}]",
        plan.name, plan.platform
    )))
}
