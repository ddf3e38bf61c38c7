//! The key `toolchains` of the tables of emitters.

use crate::manifest::{Fields, Manifest, Problems, did_you_mean};
use crate::model::ToolchainName;

/// Reads the key `toolchains` of the table of an emitter. `None` stands for all toolchains. A name
/// that the manifest does not have is added to `problems`.
pub fn toolchains(
    emitter: &str,
    fields: &mut Fields,
    manifest: &Manifest,
    problems: &mut Problems,
) -> Option<Vec<ToolchainName>> {
    let list = fields.string_list("toolchains", problems)?;
    let mut names: Vec<ToolchainName> = vec![];
    for item in list {
        match item.value.parse::<ToolchainName>() {
            Err(why) => problems.add(item.span, why),
            Ok(name)
                if !manifest.toolchains.contains_key(&name)
                    && !manifest.requirements.contains_key(&name) =>
            {
                let known = manifest.toolchains.keys().chain(manifest.requirements.keys());
                problems.add(
                    item.span,
                    format!(
                        "[emit.{emitter}] names a toolchain {:?} that is not there{}",
                        name.as_str(),
                        did_you_mean(name.as_str(), known.map(ToolchainName::as_str))
                    ),
                );
            }
            Ok(name) => names.push(name),
        }
    }
    Some(names)
}
