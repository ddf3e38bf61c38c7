//! What a lock says of a package that an evaluator of Nix has found.

use crate::manifest::{Fields, Problems};
use crate::model::StoreName;
use crate::nix::expression::{NixExpression, NixOrigin, check_attribute, check_output};
use crate::text::toml::Table;

/// The result of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// What was evaluated.
    pub expression: NixExpression,
    /// The reference of the flake with which exactly this is evaluated again, unless the flake is a
    /// part of the project.
    pub locked: Option<String>,
    /// The derivation that builds the package, if one does.
    pub derivation: Option<StoreName>,
}

/// Reads the table. `None`: problems were added.
pub fn read(mut table: Fields, problems: &mut Problems) -> Option<Evaluation> {
    let before = problems.count();
    let span = table.span();
    let mut text = |key: &str, check: &dyn Fn(&str) -> Result<(), String>| {
        let text = table.string(key, problems)?;
        match check(&text.value) {
            Ok(()) => Some(text.value),
            Err(why) => {
                problems.add(text.span, format!("{key}: {why}"));
                None
            }
        }
    };
    let flake = |text: &str| NixExpression::of_flake(text).map(drop);
    let origin = text("flake", &flake).map(NixOrigin::Flake);
    let locked = text("locked", &flake);
    let file = text("file", &|text| NixExpression::of_file(text).map(drop));
    let attribute = text("attribute", &check_attribute);
    let output = text("output", &check_output);
    let build = table.bool("build", problems).unwrap_or(false);
    let derivation = crate::manifest::parsed::<StoreName>(&mut table, "derivation", problems);
    table.finish(problems);
    let Some(origin) = origin.or_else(|| file.map(NixOrigin::File)) else {
        problems.add(span, "an evaluation needs the key \"flake\" or \"file\"");
        return None;
    };
    let expression = NixExpression { origin, attribute, output, build };
    (problems.count() == before).then_some(Evaluation { expression, locked, derivation })
}

/// Returns the table.
pub fn table(evaluation: &Evaluation) -> Table {
    let Evaluation { expression, locked, derivation } = evaluation;
    let (flake, file) = match &expression.origin {
        NixOrigin::Flake(reference) => (Some(reference.as_str()), None),
        NixOrigin::File(file) => (None, Some(file.as_str())),
    };
    let mut out = Table::default();
    out.maybe_string("flake", flake)
        .maybe_string("locked", locked.as_deref())
        .maybe_string("file", file)
        .maybe_string("attribute", expression.attribute.as_deref())
        .maybe_string("output", expression.output.as_deref())
        .maybe_string("derivation", derivation.as_ref().map(StoreName::as_str))
        .flag("build", expression.build);
    out
}
