//! The constants of a tree as findings, and as a summary.

use std::collections::BTreeMap;

use super::{Finding, TREE_CONSTANT, TREE_DATA};
use crate::reach::{Fate, Survey, Why};

/// The number of constants of one file that a finding names.
const CONSTANTS: usize = 6;
/// The number of files with data that are reported one by one.
const FILES: usize = 20;

/// What was found in the files of a tree.
#[derive(Debug)]
pub struct Examined {
    /// The name of the toolchain.
    pub name: String,
    /// The constants.
    pub survey: Survey,
}

impl Examined {
    /// Returns the findings: one for each file that has open constants. `all` reports every file
    /// with data, too.
    pub fn findings(&self, all: bool) -> Vec<Finding> {
        let mut files: BTreeMap<(&str, Why), Vec<&str>> = BTreeMap::new();
        for constant in &self.survey.constants {
            if let Fate::Open(why) = constant.fate {
                files.entry((&constant.file, why)).or_default().push(&constant.path);
            }
        }
        let (data, programs): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|((_, why), _)| *why == Why::Data);
        let hidden = if all { 0 } else { data.len().saturating_sub(FILES) };
        let shown = data.len() - hidden;
        let finding = |((file, why), paths): ((&str, Why), Vec<&str>)| {
            let rule = if why == Why::Data { &TREE_DATA } else { &TREE_CONSTANT };
            let more = match paths.len().saturating_sub(CONSTANTS) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let named = paths[..paths.len().min(CONSTANTS)].join(", ");
            Finding::new(
                rule,
                format!("{}/{file}", self.name),
                format!("holds {named}{more}: {why}"),
            )
        };
        let mut out: Vec<Finding> =
            programs.into_iter().chain(data.into_iter().take(shown)).map(finding).collect();
        if hidden > 0 {
            let reason =
                format!("{hidden} more files of data name files of the host; --verbose lists them");
            out.push(Finding::new(&TREE_DATA, self.name.clone(), reason));
        }
        out
    }

    /// Returns the number of constants by what becomes of them.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut out = BTreeMap::new();
        for constant in &self.survey.constants {
            *out.entry(constant.fate.as_str()).or_default() += 1;
        }
        out
    }

    /// Returns one line for people.
    pub fn summary(&self) -> String {
        let counts: Vec<String> =
            self.counts().into_iter().map(|(fate, count)| format!("{count} {fate}")).collect();
        let counts = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
        let replaced = match self.survey.replaced {
            0 => String::new(),
            n => format!("; {n} were replaced when the tree was made"),
        };
        format!("{}: paths of the host in its files: {counts}{replaced}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reach::Constant;

    fn constant(file: &str, path: &str, fate: Fate) -> Constant {
        Constant { file: file.to_owned(), path: path.to_owned(), fate }
    }

    #[test]
    fn findings_are_bounded() {
        let mut constants: Vec<Constant> = (0..30)
            .map(|i| constant(&format!("data/{i:02}"), "/etc/x", Fate::Open(Why::Data)))
            .collect();
        constants.extend(
            (0..9).map(|i| constant("bin/p", &format!("/opt/{i}"), Fate::Open(Why::Static))),
        );
        constants.push(constant("bin/q", "/usr/share/q", Fate::Redirected));
        let survey = Survey { constants, replaced: 3 };
        let examined = Examined { name: "t".to_owned(), survey };
        let findings = examined.findings(false);
        assert_eq!(findings.len(), 1 + FILES + 1);
        assert_eq!((findings[0].id, findings[0].place.as_str()), ("tree-constant", "t/bin/p"));
        assert!(findings[0].reason.contains("/opt/5 and 3 more: it is linked statically"));
        assert!(findings[FILES + 1].reason.starts_with("10 more files"));
        assert_eq!(examined.findings(true).len(), 1 + 30);
        assert_eq!(
            examined.summary(),
            "t: paths of the host in its files: 39 open, 1 redirected; 3 were replaced when the tree was made"
        );
        let open = examined.survey.open();
        assert_eq!((open.programs, open.first[0].path.as_str()), (1, "/opt/0"));
    }
}
