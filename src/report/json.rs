//! Reports findings as one JSON object.

use serde_json::{Value, json};

use super::api::{Findings, Report};
use crate::audit::Finding;
use crate::audit::tree::Examined;

/// The report that this module describes.
pub struct Json;

impl Report for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn render(&self, findings: &Findings) -> String {
        let accepted: Vec<Value> = findings
            .accepted
            .iter()
            .map(|(finding, reason)| {
                let mut value = told(finding);
                value["accepted"] = json!(reason);
                value
            })
            .collect();
        let open: Vec<Value> = findings.open.iter().map(told).collect();
        let mut value = json!({ "findings": open, "accepted": accepted });
        if !findings.trees.is_empty() {
            value["trees"] = findings.trees.iter().map(examined).collect();
        }
        format!("{value:#}\n")
    }
}

fn told(finding: &Finding) -> Value {
    let rule = finding.rule();
    json!({
        "id": finding.id, "severity": rule.severity.as_str(), "place": finding.place,
        "reason": finding.reason, "what": rule.what, "fix": rule.fix,
    })
}

fn examined(tree: &Examined) -> Value {
    let constants: Vec<Value> = tree
        .survey
        .constants
        .iter()
        .map(|c| {
            let mut value = json!({ "file": c.file, "path": c.path, "fate": c.fate.as_str() });
            if let Some(reason) = c.fate.reason() {
                value["reason"] = json!(reason);
            }
            value
        })
        .collect();
    json!({
        "name": tree.name, "counts": tree.counts(), "replaced": tree.survey.replaced,
        "constants": constants,
    })
}
