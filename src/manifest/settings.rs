//! The tables `[settings]`, `[emit.bazel]` and `[audit]`.

use super::{Fields, Problems, Spanned};
use crate::model::{MemberPath, ToolchainName};

/// The `[settings]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether files of equal content are hard-linked in the store.
    pub hard_links: bool,
    /// Whether a Debian index past its `Valid-Until` is refused.
    pub check_valid_until: bool,
    /// An OpenPGP keyring to trust in place of the one that cotter ships, relative to the manifest.
    pub keyring: Option<String>,
}

impl Settings {
    pub(super) fn read(fields: Option<Fields>, problems: &mut Problems) -> Self {
        let mut settings = Settings { hard_links: true, check_valid_until: true, keyring: None };
        if let Some(mut fields) = fields {
            settings.hard_links = fields.bool("hard_links", problems).unwrap_or(true);
            settings.check_valid_until = fields.bool("check_valid_until", problems).unwrap_or(true);
            settings.keyring = fields.string("keyring", problems).map(|s| s.value);
            fields.finish(problems);
        }
        settings
    }
}

/// The libc that programs run with, where no target says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Libc {
    /// That of the system they run on.
    #[default]
    System,
    /// That of the compiler's tree.
    Pinned,
}

/// The `[emit.bazel]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BazelSettings {
    /// The folder, relative to the manifest; also the package of its labels, so the manifest's directory must be the workspace's.
    pub dir: String,
    /// The repository that has a name for each toolchain, and what the names of the trees' repositories begin with.
    pub repository: String,
    /// Which toolchains; without it all.
    pub toolchains: Option<Vec<ToolchainName>>,
    /// Whether the segment for `MODULE.bazel` registers the toolchains.
    pub register: bool,
    /// The libc of programs.
    pub libc: Libc,
}

impl Default for BazelSettings {
    fn default() -> Self {
        BazelSettings {
            dir: "bazel/cotter".to_owned(),
            repository: "cotter".to_owned(),
            toolchains: None,
            register: false,
            libc: Libc::System,
        }
    }
}

impl BazelSettings {
    pub(super) fn read(mut fields: Fields, problems: &mut Problems) -> Self {
        let mut out = Self::default();
        if let Some(dir) = fields.string("dir", problems) {
            match MemberPath::parse(dir.value.trim_end_matches('/').as_bytes()) {
                Ok(Some(path)) if path.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"/_-.".contains(&b)) => out.dir = path.to_string(),
                _ => problems.add(dir.span, format!("expected a folder below the manifest's, in letters, digits, '_', '-' and '.', got {:?}", dir.value)),
            }
        }
        if let Some(name) = fields.string("repository", problems) {
            let plain = |s: &str| {
                s.starts_with(|c: char| c.is_ascii_lowercase())
                    && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            };
            if plain(&name.value) {
                out.repository = name.value;
            } else {
                problems.add(name.span, format!("expected the name of a repository in lower-case letters, digits and '_', got {:?}", name.value));
            }
        }
        out.toolchains = fields.string_list("toolchains", problems).map(|list| {
            let parsed = list.into_iter().filter_map(|item| {
                item.value.parse().map_err(|why: String| problems.add(item.span, why)).ok()
            });
            parsed.collect()
        });
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

/// A finding that is known and accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The finding's id.
    pub id: Spanned<String>,
    /// What its place must hold: `*` stands for anything.
    pub place: String,
    /// Why it is accepted.
    pub reason: String,
}

/// The `[audit]` table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditSettings {
    /// The newest glibc that outputs may ask for, such as `2.36`; without it, that of the compiler's tree.
    pub glibc_floor: Option<String>,
    /// Findings that are accepted.
    pub allow: Vec<Allowed>,
}

impl AuditSettings {
    pub(super) fn read(fields: Option<Fields>, problems: &mut Problems) -> Self {
        let mut out = Self::default();
        let Some(mut fields) = fields else { return out };
        if let Some(floor) = fields.string("glibc_floor", problems) {
            if floor.value.split('.').count() >= 2
                && floor
                    .value
                    .split('.')
                    .all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
            {
                out.glibc_floor = Some(floor.value);
            } else {
                problems.add(
                    floor.span,
                    format!("expected a version of glibc such as \"2.36\", got {:?}", floor.value),
                );
            }
        }
        for mut entry in fields.table_list("allow", problems) {
            let (id, place) =
                (entry.required_string("id", problems), entry.string("place", problems));
            match entry.required_string("reason", problems) {
                Some(reason) if reason.value.trim().is_empty() => {
                    problems.add(reason.span, "expected a reason, got an empty text")
                }
                Some(reason) => {
                    if let Some(id) = id {
                        out.allow.push(Allowed {
                            id,
                            place: place.map_or_else(|| "*".to_owned(), |p| p.value),
                            reason: reason.value,
                        });
                    }
                }
                None => {}
            }
            entry.finish(problems);
        }
        fields.finish(problems);
        out
    }
}
