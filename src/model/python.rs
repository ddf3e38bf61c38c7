//! The naming rules of Python packages. Pure.

/// Returns the normalised name of a project (PEP 503, "Normalized Names").
pub fn normalize_project(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if out.ends_with('-') => {}
            '-' | '_' | '.' => out.push('-'),
            c => out.extend(c.to_lowercase()),
        }
    }
    out
}

/// Whether a word is the name of a project, and nothing that a server would read as a path
/// (<https://packaging.python.org/en/latest/specifications/name-normalization/>).
pub fn is_project_name(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    word.starts_with(|c: char| c.is_ascii_alphanumeric()) && word.chars().all(plain)
}

/// The parts of a wheel's file name (PEP 427, "File name convention").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WheelName<'a> {
    /// The project, escaped.
    pub project: &'a str,
    /// The version, escaped.
    pub version: &'a str,
    /// Python tags, joined by dots.
    pub python: &'a str,
    /// ABI tags, joined by dots.
    pub abi: &'a str,
    /// Platform tags, joined by dots.
    pub platform: &'a str,
}

impl<'a> WheelName<'a> {
    /// Parses a file name. Returns `None` if it is not the name of a wheel.
    pub fn parse(name: &'a str) -> Option<Self> {
        let parts: Vec<&str> = name.strip_suffix(".whl")?.split('-').collect();
        let n = parts.len();
        (n == 5 || n == 6).then(|| WheelName {
            project: parts[0],
            version: parts[1],
            python: parts[n - 3],
            abi: parts[n - 2],
            platform: parts[n - 1],
        })
    }
}

/// The file at the root of a tree of Python packages that records which files and scripts belong to
/// which package.
pub const PACKAGES_INDEX: &str = "packages.json";

/// How the line of `pyvenv.cfg` begins that environments made by cotter have besides those that Python
/// requires. It ends with the store name of the packages.
pub const VENV_MARK: &str = "cotter = ";

/// The file of a virtual environment whose first line lists directories of libraries, with colons between
/// them. The launcher of the interpreter reads it.
pub const LIBRARIES_FILE: &str = ".cotter-libraries";

/// Returns the directory of an interpreter's (`3.11`) packages, relative to the root of an
/// environment.
pub fn site_packages(python: &str) -> String {
    format!("lib/python{python}/site-packages")
}

/// Returns the minor version: `3.11` for `3.11.2-6+deb12u8`.
pub fn minor_version(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// Returns the ABI tag of CPython's extension modules (PEP 425, "ABI Tag"): `cp311` for `3.11`.
pub fn abi_tag(minor_version: &str) -> String {
    format!("cp{}", minor_version.replace('.', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_wheels_are_taken_apart() {
        let name = WheelName::parse(
            "numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
        )
        .unwrap();
        assert_eq!(
            (name.project, name.version, name.python, name.abi),
            ("numpy", "2.4.6", "cp311", "cp311")
        );
        assert_eq!(WheelName::parse("a-1-2build-py3-none-any.whl").unwrap().platform, "any");
        assert_eq!(WheelName::parse("a-1.tar.gz"), None);
    }

    #[test]
    fn names_have_one_form() {
        assert_eq!(normalize_project("Foo._Bar"), "foo-bar");
    }
}
