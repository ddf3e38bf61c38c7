//! What an interpreter of a tree accepts: the tags of wheels, the markers of requirements and
//! `Requires-Python`. A resolver chooses, and this module checks its choice. Sources: PEP 425, PEP
//! 600 and PEP 508, in the reading of `packaging.tags` and `packaging.markers`.

use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifiers};

use crate::model::{Platform, WheelName};

/// The glibc version that is assumed for a tree that names none. It is old enough for any tree.
const UNKNOWN_GLIBC: &str = "2.28";

/// An interpreter on a platform, with the libc of its tree.
#[derive(Debug, Clone)]
pub struct WheelTarget {
    /// The platform.
    pub platform: Platform,
    /// Its version, such as `3.11.2`.
    version: Version,
    /// The second part of its version, which is part of its tags.
    minor: u32,
    /// The second part of the version of glibc.
    glibc: u32,
}

impl WheelTarget {
    /// Returns the target for an interpreter of a version such as `3.11.2-6+deb12u8`. Returns
    /// `None` if that is no version of Python 3.
    pub fn new(version: &str, glibc: Option<&str>, platform: Platform) -> Option<Self> {
        let ends = |c: char| !c.is_ascii_digit() && c != '.';
        let full = version.split(ends).next()?.trim_end_matches('.');
        let parsed = Version::from_str(full).ok()?;
        let ([3, minor] | [3, minor, ..]) = *parsed.release() else { return None };
        let minor = u32::try_from(minor).ok()?;
        let glibc = glibc.unwrap_or(UNKNOWN_GLIBC);
        let glibc = glibc.split('.').nth(1).and_then(|n| n.parse().ok()).unwrap_or(17);
        Some(WheelTarget { platform, version: parsed, minor, glibc })
    }

    /// Returns the value of a variable of markers. It is empty if nothing is known of it before the
    /// packages run, as it is for uv.
    pub fn marker(&self, name: &str) -> String {
        match name {
            "implementation_name" => "cpython".to_owned(),
            "os_name" => "posix".to_owned(),
            "platform_machine" => self.platform.cpu().to_owned(),
            "platform_python_implementation" => "CPython".to_owned(),
            "platform_system" => "Linux".to_owned(),
            "python_full_version" | "implementation_version" => self.version.to_string(),
            "python_version" => format!("3.{}", self.minor),
            "sys_platform" => "linux".to_owned(),
            _ => String::new(),
        }
    }

    /// Returns the interpreter in words, such as `CPython 3.11.2 on x86_64-linux with glibc 2.36`.
    pub fn shown(&self) -> String {
        format!("CPython {} on {} with glibc 2.{}", self.version, self.platform, self.glibc)
    }

    /// Returns the newest version of glibc whose wheels can be loaded, such as `2.36`.
    pub fn glibc(&self) -> String {
        format!("2.{}", self.glibc)
    }

    /// Returns the version of the interpreter.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Whether a statement such as `>=3.8` covers the interpreter. Returns `None` if it cannot be
    /// read.
    pub fn is_covered_by(&self, requires_python: &str) -> Option<bool> {
        let specifiers = VersionSpecifiers::from_str(requires_python).ok()?;
        Some(specifiers.contains(&self.version))
    }

    /// Returns how suitable a wheel is: a higher value is better. The order is that of installers:
    /// wheels for this exact interpreter, then the stable ABI, then pure Python; among each of
    /// these, the newest glibc. Returns `None` if the interpreter cannot load it.
    pub fn rank(&self, file: &str) -> Option<(u32, u32, u32)> {
        let name = WheelName::parse(file)?;
        let glibc = name.platform.split('.').filter_map(|tag| self.glibc_of(tag)).max()?;
        let pythons = name.python.split('.').filter_map(|python| {
            let abis = name.abi.split('.').filter_map(|abi| self.kind_of(python, abi));
            Some((abis.max()?, python_minor(python)))
        });
        let (abi, python) = pythons.max()?;
        Some((abi, python, glibc))
    }

    /// Returns the version of glibc that a platform tag needs, and 0 for pure Python.
    fn glibc_of(&self, tag: &str) -> Option<u32> {
        if tag == "any" {
            return Some(0);
        }
        let family = tag.strip_suffix(self.platform.cpu())?.strip_suffix('_')?;
        let needed = match family {
            "linux" => 1,
            "manylinux1" => 5,
            "manylinux2010" => 12,
            "manylinux2014" => 17,
            _ => family.strip_prefix("manylinux_2_")?.parse().ok()?,
        };
        (needed <= self.glibc).then_some(needed)
    }

    /// Returns the place in the order of a tag of Python with a tag of the ABI, if they fit.
    fn kind_of(&self, python: &str, abi: &str) -> Option<u32> {
        let minor = python_minor(python);
        let is_own = python == format!("cp3{}", self.minor);
        match abi {
            "none" if is_own => Some(1),
            // `py3`, and `py30` up to the version of the interpreter.
            "none" => (python.starts_with("py3") && minor <= self.minor).then_some(0),
            "abi3" => (python.starts_with("cp3") && (2..=self.minor).contains(&minor)).then_some(2),
            // An ABI of a free-threaded interpreter or of one for debugging has further letters.
            // Before 3.8, the usual one has an `m`.
            _ => {
                let letter = if self.minor < 8 { "m" } else { "" };
                (is_own && abi == format!("cp3{}{letter}", self.minor)).then_some(3)
            }
        }
    }
}

/// Returns the second part of the version in a tag such as `cp311` or `py3`.
fn python_minor(tag: &str) -> u32 {
    let digits = tag.get(3..).unwrap_or_default();
    if digits.is_empty() { 0 } else { digits.parse().unwrap_or(u32::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> WheelTarget {
        WheelTarget::new("3.11.2-6+deb12u8", Some("2.36"), Platform::X86_64Linux).unwrap()
    }

    #[test]
    fn the_most_specific_wheel_is_the_best() {
        let of = |file: &str| target().rank(file);
        let order = [
            "a-1-cp311-cp311-manylinux_2_28_x86_64.whl",
            "a-1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            "a-1-cp39-abi3-manylinux_2_28_x86_64.whl",
            "a-1-cp37-abi3-manylinux_2_28_x86_64.whl",
            "a-1-cp311-none-manylinux_2_28_x86_64.whl",
            "a-1-py3-none-manylinux_2_17_x86_64.whl",
            "a-1-py3-none-any.whl",
        ];
        assert!(order.windows(2).all(|pair| of(pair[0]) > of(pair[1])), "{:?}", order.map(of));
    }

    #[test]
    fn what_the_interpreter_cannot_load_has_no_rank() {
        for file in [
            "a-1-cp311-cp311-musllinux_1_1_x86_64.whl",
            "a-1-cp311-cp311-manylinux_2_28_aarch64.whl",
            "a-1-cp311-cp311-manylinux_2_39_x86_64.whl",
            "a-1-cp312-cp312-manylinux_2_17_x86_64.whl",
            "a-1-cp312-abi3-manylinux_2_17_x86_64.whl",
            "a-1-cp310-cp310-manylinux_2_17_x86_64.whl",
            "a-1-cp311-cp311d-manylinux_2_17_x86_64.whl",
            "a-1-cp314-cp314t-manylinux_2_17_x86_64.whl",
            "a-1-cp311-cp311t-manylinux_2_17_x86_64.whl",
            "a-1-cp310-none-any.whl",
            "a-1-py312-none-any.whl",
            "a-1-py2-none-any.whl",
            "a-1-pp311-pypy311_pp73-manylinux_2_17_x86_64.whl",
            "a-1-cp311-cp311-win_amd64.whl",
            "a-1.tar.gz",
        ] {
            assert_eq!(target().rank(file), None, "{file}");
        }
        for file in [
            "a-1-py2.py3-none-any.whl",
            "a-1-py310-none-any.whl",
            "a-1-cp311-cp311-linux_x86_64.whl",
            "a-1-cp311-cp311-manylinux_2_36_x86_64.whl",
            "a-1-cp310.cp311-cp310.cp311-manylinux1_x86_64.whl",
        ] {
            assert!(target().rank(file).is_some(), "{file}");
        }
        let old = WheelTarget::new("3.7.3", None, Platform::X86_64Linux).unwrap();
        assert!(old.rank("a-1-cp37-cp37m-manylinux1_x86_64.whl").is_some());
        assert_eq!(old.rank("a-1-cp37-cp37-manylinux1_x86_64.whl"), None);
    }

    #[test]
    fn versions_of_python_are_compared_in_full() {
        let covered = |text: &str| target().is_covered_by(text);
        assert_eq!(
            [">=3.8", ">=3.11.2,<4", "!=3.11.*", ">=3.11.3", ">=3.13", "three"].map(covered),
            [Some(true), Some(true), Some(false), Some(false), Some(false), None]
        );
        assert!(WheelTarget::new("", None, Platform::X86_64Linux).is_none());
        assert!(WheelTarget::new("2.7.18", None, Platform::X86_64Linux).is_none());
        let early = WheelTarget::new("3.13.0~rc2-1", None, Platform::Aarch64Linux).unwrap();
        assert_eq!(early.version().to_string(), "3.13.0");
    }
}
