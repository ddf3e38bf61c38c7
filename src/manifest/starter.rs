//! The manifest with which a project begins: parts of `templates/init`, chosen by a template or by what the project's directory
//! contains.

use crate::model::Platform;

/// A part of a first manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StarterPart {
    /// A C and C++ compiler.
    Gcc,
    /// An interpreter.
    Python,
    /// uv and a set of Python packages.
    Packages,
    /// CMake.
    Cmake,
    /// Meson.
    Meson,
    /// Rust.
    Rust,
    /// Go.
    Go,
    /// Node.js.
    Node,
    /// A program.
    Tool,
    /// Libraries.
    Library,
    /// A cross compiler.
    Cross,
    /// A database, a cache and a web server.
    Services,
    /// The folder for Bazel.
    Bazel,
}

impl StarterPart {
    fn text(self) -> &'static str {
        match self {
            StarterPart::Gcc => include_str!("../../templates/init/gcc.toml"),
            StarterPart::Python => include_str!("../../templates/init/python.toml"),
            StarterPart::Packages => include_str!("../../templates/init/packages.toml"),
            StarterPart::Cmake => include_str!("../../templates/init/cmake.toml"),
            StarterPart::Meson => include_str!("../../templates/init/meson.toml"),
            StarterPart::Rust => include_str!("../../templates/init/rust.toml"),
            StarterPart::Go => include_str!("../../templates/init/go.toml"),
            StarterPart::Node => include_str!("../../templates/init/node.toml"),
            StarterPart::Tool => include_str!("../../templates/init/tool.toml"),
            StarterPart::Library => include_str!("../../templates/init/library.toml"),
            StarterPart::Cross => include_str!("../../templates/init/cross.toml"),
            StarterPart::Services => include_str!("../../templates/init/services.toml"),
            StarterPart::Bazel => include_str!("../../templates/init/bazel.toml"),
        }
    }
}

/// The files by which a project is known, in the order of their weight, and the parts that it needs.
const SIGNS: &[(&str, &[StarterPart])] = &[
    ("CMakeLists.txt", &[StarterPart::Gcc, StarterPart::Cmake]),
    ("meson.build", &[StarterPart::Gcc, StarterPart::Meson]),
    ("configure", &[StarterPart::Gcc]),
    ("configure.ac", &[StarterPart::Gcc]),
    ("Makefile", &[StarterPart::Gcc]),
    ("uv.lock", &[StarterPart::Python, StarterPart::Packages]),
    ("pylock.toml", &[StarterPart::Python, StarterPart::Packages]),
    ("requirements.in", &[StarterPart::Python, StarterPart::Packages]),
    ("requirements.txt", &[StarterPart::Python, StarterPart::Packages]),
    ("pyproject.toml", &[StarterPart::Python, StarterPart::Packages]),
    ("Pipfile", &[StarterPart::Python, StarterPart::Packages]),
    ("environment.yml", &[StarterPart::Python, StarterPart::Packages]),
    ("environment.yaml", &[StarterPart::Python, StarterPart::Packages]),
    ("setup.py", &[StarterPart::Python]),
    ("setup.cfg", &[StarterPart::Python]),
    (".python-version", &[StarterPart::Python]),
    ("Cargo.toml", &[StarterPart::Gcc, StarterPart::Rust]),
    ("go.mod", &[StarterPart::Go]),
    ("package.json", &[StarterPart::Node]),
    ("MODULE.bazel", &[StarterPart::Gcc, StarterPart::Python, StarterPart::Bazel]),
    ("WORKSPACE", &[StarterPart::Gcc, StarterPart::Python, StarterPart::Bazel]),
    ("WORKSPACE.bazel", &[StarterPart::Gcc, StarterPart::Python, StarterPart::Bazel]),
];

/// The files that show that a project has packages, and that nothing here reads.
pub const UNREAD: &[&str] = &["Pipfile", "environment.yml", "environment.yaml"];

/// The list of requirements that a set begins with if the project has none.
pub const REQUIREMENTS: &str = "requirements.in";

/// A first manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Starter {
    parts: Vec<StarterPart>,
    /// The files of the project for which the parts were chosen.
    pub signs: Vec<String>,
}

impl Starter {
    /// Returns the manifest of some parts.
    pub fn of(parts: &[StarterPart]) -> Starter {
        Starter { parts: parts.to_vec(), signs: vec![] }
    }

    /// Returns the manifest for a project whose directory has files of these names, or nothing if none of them tells what it
    /// needs.
    pub fn for_files(names: &[String]) -> Option<Starter> {
        let known = SIGNS.iter().filter(|(sign, _)| names.iter().any(|name| name == sign));
        let mut out = Starter::of(&[]);
        for (sign, parts) in known {
            out.signs.push((*sign).to_owned());
            out.parts.extend(*parts);
        }
        out.parts.sort();
        out.parts.dedup();
        (!out.parts.is_empty()).then_some(out)
    }

    /// Whether the set of Python packages reads [`REQUIREMENTS`], because it reads none of the project's files, which have these
    /// names, or that one.
    pub fn needs_list(&self, names: &[String]) -> bool {
        self.parts.contains(&StarterPart::Packages) && input(names) == REQUIREMENTS
    }

    /// Returns the text of the manifest for a platform. `names` are those of the project's files.
    pub fn text(&self, platform: Platform, names: &[String]) -> String {
        let head = include_str!("../../templates/init/head.toml");
        let parts = self.parts.iter().map(|part| format!("\n{}", part.text()));
        parts
            .fold(head.to_owned(), |all, part| all + &part)
            .replace("@platform@", platform.as_str())
            .replace("@inputs@", &format!("{:?}", input(names)))
    }
}

/// Returns the file that the set of Python packages reads: the first of the project's files that states requirements.
fn input(names: &[String]) -> &'static str {
    let lists = SIGNS.iter().filter(|(_, parts)| parts.contains(&StarterPart::Packages));
    lists
        .map(|(sign, _)| *sign)
        .filter(|sign| !UNREAD.contains(sign))
        .find(|sign| names.iter().any(|name| name == sign))
        .unwrap_or(REQUIREMENTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_fits_the_files_of_a_project() {
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Starter::for_files(&names).map(|s| (s.text(Platform::X86_64Linux, &names), s.signs))
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["README.md", "src"]), None);
        let (text, signs) =
            of(&["requirements.txt", "uv.lock", "pyproject.toml", "MODULE.bazel"]).unwrap();
        assert_eq!(signs, ["uv.lock", "requirements.txt", "pyproject.toml", "MODULE.bazel"]);
        assert!(text.contains("inputs = [\"uv.lock\"]"), "{text}");
        let (text, signs) = of(&["Pipfile", "setup.cfg", ".python-version"]).unwrap();
        assert_eq!(signs, ["Pipfile", "setup.cfg", ".python-version"]);
        assert!(text.contains("inputs = [\"requirements.in\"]"), "{text}");
        let (text, _) =
            of(&["requirements.txt", "uv.lock", "pyproject.toml", "MODULE.bazel"]).unwrap();
        let tables: Vec<&str> = text.lines().filter(|line| line.starts_with('[')).collect();
        let expected = [
            "[toolchains.gcc]",
            "[toolchains.python]",
            "[toolchains.uv]",
            "[requirements.app]",
            "[emit.bazel]",
        ];
        assert_eq!(tables, expected);
        assert!(text.contains("platforms = [\"x86_64-linux\"]"), "{text}");
    }
}
