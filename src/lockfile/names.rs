//! Information about components that can be read from file names, used where no better source
//! exists.

use crate::model::{Component, Ecosystem, Format, SourcePackage};

/// Returns what a file name tells about a Debian package, for example
/// `pool/main/g/gcc-12/cpp-12_12.2.0-14_amd64.deb`. The epoch, which file names leave out, and the
/// version of the source package are missing.
pub fn component_of_deb(path: &str) -> Option<Component> {
    let mut parts = path.rsplit('/');
    let file = parts.next()?.strip_suffix(".deb")?;
    let directory = parts.next();
    let mut fields = file.split('_');
    let (name, version) = (fields.next()?.to_owned(), fields.next()?.to_owned());
    let source = directory
        .filter(|source| *source != name)
        .map(|source| SourcePackage { name: source.to_owned(), version: None });
    Some(Component { ecosystem: Ecosystem::Debian, name, version, source })
}

/// Returns the version of a Python project's file, from its name: the second part of a wheel's
/// name, or the text after the project's name (PEP 427, PEP 625).
pub fn version_in_file_name(file: &str, project: &str) -> String {
    if let Some(name) = crate::model::WheelName::parse(file) {
        return name.version.replace('_', "-");
    }
    let endings = [".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz"];
    let stem = endings.iter().find_map(|e| file.strip_suffix(e)).unwrap_or(file);
    stem.get(project.len() + 1..).unwrap_or(stem).to_owned()
}

/// Returns the format of a Python project's file.
pub fn format_of_distribution(file: &str) -> Format {
    if file.ends_with(".whl") { Format::Wheel } else { Format::Sdist }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_file_names() {
        let of = version_in_file_name;
        assert_eq!(of("Flask-1.1.2.tar.gz", "flask"), "1.1.2");
        assert_eq!(of("typing_extensions-4.0-py3-none-any.whl", "typing-extensions"), "4.0");
        assert_eq!(of("backports.zoneinfo-0.2.1.tar.gz", "backports-zoneinfo"), "0.2.1");
    }

    #[test]
    fn debian_file_names_tell_the_component() {
        let found = component_of_deb("pool/main/g/gcc-12/cpp-12_12.2.0-14_amd64.deb").unwrap();
        assert_eq!((found.name.as_str(), found.version.as_str()), ("cpp-12", "12.2.0-14"));
        assert_eq!(found.source.unwrap().name, "gcc-12");
        assert_eq!(component_of_deb("pool/main/z/zlib/zlib_1_amd64.deb").unwrap().source, None);
    }
}
