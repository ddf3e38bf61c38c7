//! Reports findings as SARIF 2.1.0 (OASIS standard), which code hosting services show next to the
//! code.

use serde_json::{Value, json};

use super::api::{Findings, Report};
use crate::audit::{Finding, RULES};

/// The report that this module describes.
pub struct Sarif;

impl Report for Sarif {
    fn name(&self) -> &'static str {
        "sarif"
    }

    fn render(&self, findings: &Findings) -> String {
        format!("{:#}\n", log(&findings.open, &findings.accepted))
    }
}

/// Returns a log of one run. It contains the findings that the allow list accepts, marked as
/// suppressed.
fn log(findings: &[Finding], accepted: &[(Finding, String)]) -> Value {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|r| {
            json!({
                "id": r.id, "shortDescription": { "text": r.what }, "help": { "text": r.fix }, "defaultConfiguration": { "level": r.severity.as_str() },
            })
        })
        .collect();
    let mut results: Vec<Value> = findings.iter().map(result).collect();
    for (finding, reason) in accepted {
        let mut result = result(finding);
        result["suppressions"] = json!([{ "kind": "external", "justification": reason }]);
        results.push(result);
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "cotter", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "results": results,
        }],
    })
}

fn result(finding: &Finding) -> Value {
    let place = &finding.place;
    let location = if place.contains("//") {
        json!({ "logicalLocations": [{ "fullyQualifiedName": place, "kind": "module" }] })
    } else {
        let (file, line) = match place.rsplit_once(':') {
            Some((file, line)) if line.bytes().all(|b| b.is_ascii_digit()) => {
                (file, line.parse().unwrap_or(1))
            }
            _ => (place.as_str(), 1),
        };
        json!({ "physicalLocation": { "artifactLocation": { "uri": file }, "region": { "startLine": line } } })
    };
    json!({
        "ruleId": finding.id, "level": finding.rule().severity.as_str(),
        "message": { "text": format!("{} {}: {}", finding.rule().what, place, finding.reason) }, "locations": [location],
    })
}
