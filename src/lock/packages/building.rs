//! Builds the packages of a set that are available only as source.

use std::collections::BTreeMap;

use super::Locking;
use crate::error::{Error, Result};
use crate::lockfile::{LockedTree, Plan, Spec, Uses};
use crate::make::{Tools, Workshop, locked_for, native_or_refuse};
use crate::manifest::Requirements;
use crate::model::{Built, Digest, Format, Input, Platform, WheelName};

impl Locking<'_> {
    /// Builds the packages that are available only as source, and records the results.
    pub(super) fn build(&self, plans: &mut [Plan], set: &Requirements) -> Result<()> {
        let mut built: BTreeMap<Digest, Built> = BTreeMap::new();
        for plan in plans {
            let Spec::Packages(spec) = &plan.spec else { continue };
            let requires = Requirements::builds_name(&plan.name);
            let native = Platform::native();
            let requires = native
                .is_some_and(|native| self.lock.get(&requires, native).is_some())
                .then_some(requires);
            let tools = Tools {
                interpreter: &spec.interpreter,
                requires: requires.as_ref(),
                path: &spec.build_tools,
            };
            let sources = plan.inputs.iter_mut().filter(|i| i.format == Format::Sdist);
            for input in sources {
                let file = input.file_name().to_owned();
                let wheel = match built.get(&input.sha256) {
                    Some(known) => known.clone(),
                    None => self.build_one(input, &tools)?,
                };
                built.insert(input.sha256, wheel.clone());
                if WheelName::parse(&wheel.file).is_none_or(|w| w.platform != "any")
                    && native != Some(plan.platform)
                {
                    return Err(Error::build(format!(
                        "{file} holds native code, which can't be built for {} here",
                        plan.platform
                    ))
                    .hint(format!(
                        "lock [requirements.{}] on such a machine, or leave the platform out: platforms = [...]",
                        set.name
                    )));
                }
                input.built = Some(wheel);
            }
            let any = plan.inputs.iter().any(|i| i.built.is_some());
            plan.uses = Uses::of_set(spec, any, requires);
        }
        Ok(())
    }

    /// Builds the wheel of an input, after making the tools that the build uses.
    fn build_one(&self, input: &Input, tools: &Tools) -> Result<Built> {
        let platform = native_or_refuse(Platform::native())?;
        let (maker, lock) = (self.maker(), self.lock);
        let used = [tools.interpreter].into_iter().chain(tools.requires).chain(tools.path);
        let used: Vec<&LockedTree> =
            used.map(|name| locked_for(lock, name, platform)).collect::<Result<_>>()?;
        maker.ensure(lock, &used)?;
        let (store, fetcher, reporter) = (&self.cx.store, self.fetcher, &self.cx.reporter);
        let limits = self.cx.limits();
        Workshop { store, fetcher, reporter, lock, platform, limits }.build(input, tools)
    }
}
