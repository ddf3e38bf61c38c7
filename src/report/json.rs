//! Reports findings as one JSON object.

use serde_json::{Value, json};

use super::api::{Findings, Report};
use crate::audit::Finding;

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
        format!("{:#}\n", json!({ "findings": open, "accepted": accepted }))
    }
}

fn told(finding: &Finding) -> Value {
    let rule = finding.rule();
    json!({
        "id": finding.id, "severity": rule.severity.as_str(), "place": finding.place,
        "reason": finding.reason, "what": rule.what, "fix": rule.fix,
    })
}
