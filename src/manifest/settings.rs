//! The tables `[settings]` and `[audit]`.

use super::{Fields, Problems, Spanned};
use crate::error::Place;

/// The `[settings]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether files of the same content are hard-linked in the store.
    pub hard_links: bool,
    /// Whether a Debian index whose `Valid-Until` has passed is refused.
    pub check_valid_until: bool,
    /// An OpenPGP keyring to trust instead of the one that cotter includes, relative to the
    /// manifest.
    pub keyring: Option<String>,
    /// The place where the manifest names it.
    pub keyring_place: Option<Place>,
}

impl Settings {
    pub(super) fn read(fields: Option<Fields>, problems: &mut Problems) -> Self {
        let mut settings = Settings {
            hard_links: true,
            check_valid_until: true,
            keyring: None,
            keyring_place: None,
        };
        if let Some(mut fields) = fields {
            settings.hard_links = fields.bool("hard_links", problems).unwrap_or(true);
            settings.check_valid_until = fields.bool("check_valid_until", problems).unwrap_or(true);
            if let Some(keyring) = fields.string("keyring", problems) {
                settings.keyring_place = Some(problems.place(keyring.span.start));
                settings.keyring = Some(keyring.value);
            }
            fields.finish(problems);
        }
        settings
    }
}

/// A finding that is known and accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The identifier of the finding.
    pub id: Spanned<String>,
    /// The text that its place must contain. `*` stands for any characters.
    pub place: String,
    /// The reason why it is accepted.
    pub reason: String,
}

/// The `[audit]` table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditSettings {
    /// The newest glibc that outputs may require, such as `2.36`. The default is the glibc of the
    /// compiler's tree.
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
