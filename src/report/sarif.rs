//! `report.sarif`: findings as results of the Static Analysis Results Interchange Format (SARIF) 2.1.0, OASIS standard.
//!
//! Inputs are artifacts (section 3.24), exhibits locations (3.28): a line of a snapshot is a region, a frame of a capture
//! a logical location, since SARIF knows only text and octets. The fingerprint stands in `partialFingerprints`
//! (3.27.17), the baseline's word in `baselineState` (3.27.24), an entry of the allow-list is a suppression (3.35), and
//! what could not be judged is a notification (3.58).

use std::io;

use serde_json::{Map, Value, json};

use super::gate::{GateVerdict, Judged, Seen};
use super::model::Report;
use super::words::{confidence_word, place};
use super::{Material, Output};
use crate::diagnosis::{Exhibit, Finding, NotJudged, RULES, Rule, Severity};
use crate::language::Language;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Writes `report.sarif`.
///
/// # Errors
/// If it cannot be written.
pub fn render(material: &Material<'_>, output: &mut dyn Output) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(&log(&material.report))?;
    text.push(b'\n');
    output.file("report.sarif", &mut |file| file.write_all(&text))
}

fn log(report: &Report) -> Value {
    let rules: Vec<Value> = RULES.iter().map(|rule| descriptor(rule, report.language)).collect();
    let results: Vec<Value> = report.findings.iter().map(|finding| result(report, finding)).collect();
    let notifications: Vec<Value> = report.not_judged.iter().map(notification).collect();
    let artifacts: Vec<Value> = report
        .inputs
        .iter()
        .map(|input| {
            json!({"location": {"uri": uri(&input.name)}, "length": input.bytes, "roles": ["analysisTarget"],
                   "properties": {"id": input.id, "kind": input.kind}})
        })
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": report.tool.name, "version": report.tool.version, "semanticVersion": report.tool.version,
                "shortDescription": {"text": env!("CARGO_PKG_DESCRIPTION")}, "rules": rules,
            }},
            "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": notifications}],
            "artifacts": artifacts,
            "results": results,
            "columnKind": "unicodeCodePoints",
        }],
    })
}

/// A rule, with its page as help.
fn descriptor(rule: &Rule, language: Language) -> Value {
    let page = rule.explanation.spoken(language);
    json!({
        "id": rule.code, "name": pascal(rule.name),
        "shortDescription": {"text": rule.says(language)},
        "help": {"text": page, "markdown": page},
        "properties": {"tags": ["tcp"]},
    })
}

/// `per-host-paws-drop` as `PerHostPawsDrop`: the name that SARIF recommends (section 3.49.7).
fn pascal(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    });
    words.collect()
}

fn result(report: &Report, finding: &Finding) -> Value {
    let judged = report.gate.as_ref().and_then(|gate| gate.of(&finding.id));
    let shown: Vec<Value> = finding.exhibits.iter().filter_map(|exhibit| location(report, exhibit)).collect();
    let mut result = Map::new();
    let mut set = |name: &str, value: Value| result.insert(name.to_owned(), value);
    set("ruleId", finding.rule.into());
    if let Some(index) = RULES.iter().position(|rule| rule.code == finding.rule) {
        set("ruleIndex", index.into());
    }
    set("level", level(finding.severity).into());
    set("message", json!({"text": format!("{}\n\n{}", finding.title, finding.summary)}));
    // One location says where to look; the others go with it.
    set("locations", shown.iter().take(1).cloned().collect());
    set("relatedLocations", shown.iter().skip(1).cloned().collect());
    set("partialFingerprints", json!({"lastack/v1": finding.fingerprint}));
    if let Some(state) = judged.and_then(|judged| judged.seen) {
        set("baselineState", baseline_state(state).into());
    }
    if let Some(suppressions) = judged.map(suppressions) {
        set("suppressions", suppressions);
    }
    set("properties", properties(finding, judged));
    Value::Object(result)
}

fn properties(finding: &Finding, judged: Option<&Judged>) -> Value {
    json!({
        "id": finding.id, "name": finding.name, "confidence": confidence_word(finding.confidence), "metrics": finding.metrics,
        "exhibits_total": finding.exhibits_total, "display_filter": finding.display_filter, "advice": finding.advice,
        "ruled_out": finding.ruled_out, "gate": judged,
    })
}

fn location(report: &Report, exhibit: &Exhibit) -> Option<Value> {
    let index = report.inputs.iter().position(|input| input.id == exhibit.input)?;
    let input = report.inputs.get(index)?;
    let mut physical = json!({"artifactLocation": {"uri": uri(&input.name), "index": index}});
    if let (Some(line), Some(physical)) = (exhibit.line, physical.as_object_mut()) {
        physical.insert("region".to_owned(), json!({"startLine": line}));
    }
    let mut location = json!({"physicalLocation": physical, "message": {"text": exhibit.text}});
    if let (Some(_), Some(location)) = (exhibit.frame, location.as_object_mut()) {
        let name = place(exhibit, Language::En);
        location.insert("logicalLocations".to_owned(), json!([{"name": name, "kind": "packet"}]));
    }
    Some(location)
}

fn notification(open: &NotJudged) -> Value {
    let text = format!("{} was not judged: {}. Record next: {}", open.rule, open.because, open.record_next);
    json!({"level": "note", "message": {"text": text}, "associatedRule": {"id": open.rule}})
}

fn suppressions(judged: &Judged) -> Value {
    if judged.verdict != GateVerdict::Allowed {
        return json!([]);
    }
    let until = judged.until.as_ref().map(|until| format!(" (until {until})")).unwrap_or_default();
    let why = format!("{}{until}", judged.because.as_deref().unwrap_or_default());
    json!([{"kind": "external", "status": "accepted", "justification": why}])
}

const fn baseline_state(seen: Seen) -> &'static str {
    match seen {
        Seen::New => "new",
        Seen::Worse => "updated",
        Seen::Known => "unchanged",
    }
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

/// A file's name as a URI reference (RFC 3986): relative names stay relative.
fn uri(name: &str) -> String {
    let mut uri = String::from(if name.starts_with('/') { "file://" } else { "" });
    for octet in name.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&octet) {
            uri.push(char::from(octet));
        } else {
            uri.push_str(&format!("%{octet:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::sample;

    #[test]
    fn names_become_uris() {
        assert_eq!(uri("a b/c%.pcap"), "a%20b/c%25.pcap");
        assert_eq!(uri("/tmp/x:1.pcap"), "file:///tmp/x%3A1.pcap");
        assert_eq!(uri("http://x"), "http%3A//x", "a name is no scheme");
        assert_eq!(uri("ß.tar!b.pcap"), "%C3%9F.tar!b.pcap");
        assert_eq!(pascal("fin-wait-2-held"), "FinWait2Held");
    }

    #[test]
    fn logs_are_valid_by_the_schema_of_sarif() {
        let schema = std::fs::read_to_string("fixtures/sarif/sarif-schema-2.1.0.json").unwrap();
        // The pattern of languages as first published is no regular expression; the errata mend it so.
        let schema = schema.replace("^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$", "^[a-zA-Z]{2}(-[a-zA-Z]{2})?$");
        let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
        assert!(!validator.is_valid(&json!({"version": "2.1.0"})), "the schema asks for something");
        for report in [sample::empty(), sample::recycle(), sample::several(), sample::many(40), sample::hostile()] {
            let log = log(&report);
            let errors: Vec<String> =
                validator.iter_errors(&log).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert!(errors.is_empty(), "{}", errors.join("\n"));
            assert_eq!(log["runs"][0]["results"].as_array().unwrap().len(), report.findings.len());
        }
    }

    #[test]
    fn lines_are_regions_and_frames_are_named() {
        let report = sample::several();
        let log = log(&report);
        let results = log["runs"][0]["results"].as_array().unwrap();
        for (result, finding) in results.iter().zip(&report.findings) {
            let Some(exhibit) = finding.exhibits.first() else { continue };
            let location = &result["locations"][0];
            let line = location["physicalLocation"]["region"]["startLine"].as_u64();
            assert_eq!(line, exhibit.line);
            let frame = exhibit.frame.map(|frame| format!("frame {frame}"));
            assert_eq!(location["logicalLocations"][0]["name"].as_str(), frame.as_deref());
            assert_eq!(result["partialFingerprints"]["lastack/v1"], finding.fingerprint.as_str());
        }
    }
}
