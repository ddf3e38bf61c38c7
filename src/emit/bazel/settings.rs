//! The `[emit.bazel]` table.

use crate::emit::named;
use crate::error::Place;
use crate::manifest::{Fields, Manifest, Problems};
use crate::model::{MemberPath, ToolchainName};

/// The libc that programs use unless a target names another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Libc {
    /// The libc of the system on which they run.
    #[default]
    System,
    /// The libc in the tree of the compiler.
    Pinned,
}

/// The repositories that Bazel and its rules declare, and that the emitted files use.
const TAKEN: &[&str] = &[
    "bazel_features",
    "bazel_skylib",
    "bazel_tools",
    "local_config_cc",
    "local_config_platform",
    "platforms",
    "rules_cc",
    "rules_java",
    "rules_python",
    "rules_shell",
];

/// The `[emit.bazel]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BazelSettings {
    /// The folder, relative to the manifest. It is also the package of the labels, so the directory
    /// of the manifest must be the root of the workspace.
    pub dir: String,
    /// The repository that contains a name for each toolchain. It is also the prefix of the names
    /// of the trees' repositories.
    pub repository: String,
    /// The toolchains to emit. `None` stands for all of them.
    pub toolchains: Option<Vec<ToolchainName>>,
    /// The place of the key `toolchains`, if the manifest has it.
    pub toolchains_place: Option<Place>,
    /// Whether the segment for `MODULE.bazel` registers the toolchains.
    pub register: bool,
    /// The libc that programs use.
    pub libc: Libc,
}

impl Default for BazelSettings {
    fn default() -> Self {
        BazelSettings {
            dir: "bazel/cotter".to_owned(),
            repository: "cotter".to_owned(),
            toolchains: None,
            toolchains_place: None,
            register: false,
            libc: Libc::System,
        }
    }
}

impl BazelSettings {
    /// Reads the table. Every problem of the table is added to `problems`.
    pub fn read(mut fields: Fields, manifest: &Manifest, problems: &mut Problems) -> Self {
        let mut out = Self::default();
        if let Some(dir) = fields.string("dir", problems) {
            match MemberPath::parse(dir.value.trim_end_matches('/').as_bytes()) {
                Ok(Some(path)) if path.is_in_git() => {
                    problems.add(dir.span, format!("expected a folder outside of .git, got {:?}", dir.value));
                }
                Ok(Some(path))
                    if path
                        .as_str()
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"/_-.".contains(&b)) =>
                {
                    out.dir = path.to_string();
                }
                _ => problems.add(dir.span, format!("expected a folder below the manifest's, in letters, digits, '_', '-' and '.', got {:?}", dir.value)),
            }
        }
        if let Some(name) = fields.string("repository", problems) {
            let plain = |s: &str| {
                s.starts_with(|c: char| c.is_ascii_lowercase())
                    && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            };
            if TAKEN.contains(&name.value.as_str()) {
                problems.add(name.span, format!("Bazel and its rules have a repository {:?} of their own: choose another name", name.value));
            } else if plain(&name.value) {
                out.repository = name.value;
            } else {
                problems.add(name.span, format!("expected the name of a repository in lower-case letters, digits and '_', got {:?}", name.value));
            }
        }
        out.toolchains_place =
            fields.has("toolchains").then(|| problems.place(fields.key_span("toolchains").start));
        out.toolchains = named::toolchains("bazel", &mut fields, manifest, problems);
        out.register = fields.bool("register", problems).unwrap_or(false);
        if let Some(libc) = fields.string("libc", problems) {
            match libc.value.as_str() {
                "system" => out.libc = Libc::System,
                "pinned" => out.libc = Libc::Pinned,
                other => problems
                    .add(libc.span, format!("expected \"system\" or \"pinned\", got {other:?}")),
            }
        }
        fields.finish(problems);
        out
    }
}
