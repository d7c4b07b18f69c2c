//! `report.jsonl`: the report one object a line, for pipelines (<https://jsonlines.org>).
//!
//! The first line says what was looked at; then come inputs, findings and what could not be judged, each with its
//! `kind`. Fields are those of `report.json`; exhibits name their input beside its `id`.

use std::io;

use serde_json::{Value, json};

use super::model::Report;
use super::{Material, Output};
use crate::diagnosis::Finding;

/// Writes `report.jsonl`.
///
/// # Errors
/// If it cannot be written.
pub fn render(material: &Material<'_>, output: &mut dyn Output) -> io::Result<()> {
    let lines = lines(&material.report)?;
    output.file("report.jsonl", &mut |file| lines.iter().try_for_each(|line| writeln!(file, "{line}")))
}

fn lines(report: &Report) -> io::Result<Vec<Value>> {
    let head = json!({
        "schema": report.schema, "tool": report.tool, "options": report.options, "totals": report.totals,
        "syn_causes": report.syn_causes, "findings": report.findings.len(), "not_judged": report.not_judged.len(),
    });
    let mut lines = vec![kind("report", head)];
    for input in &report.inputs {
        lines.push(kind("input", serde_json::to_value(input)?));
    }
    for finding in &report.findings {
        lines.push(kind("finding", one(report, finding)?));
    }
    for open in &report.not_judged {
        lines.push(kind("not_judged", serde_json::to_value(open)?));
    }
    Ok(lines)
}

fn one(report: &Report, finding: &Finding) -> io::Result<Value> {
    let mut value = serde_json::to_value(finding)?;
    for exhibit in value.get_mut("exhibits").and_then(Value::as_array_mut).into_iter().flatten() {
        let input = exhibit.get("input").and_then(|id| report.inputs.iter().find(|input| *id == input.id.as_str()));
        if let (Some(exhibit), Some(input)) = (exhibit.as_object_mut(), input) {
            exhibit.insert("input_name".to_owned(), input.name.as_str().into());
        }
    }
    if let (Some(object), Some(judged)) = (value.as_object_mut(), report.gate.as_ref().and_then(|g| g.of(&finding.id)))
    {
        object.insert("gate".to_owned(), serde_json::to_value(judged)?);
    }
    Ok(value)
}

/// The object with its `kind` beside its fields; what an input is already stands under that name, as `is`.
fn kind(kind: &str, mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut()
        && let Some(before) = object.insert("kind".to_owned(), kind.into())
    {
        object.insert("is".to_owned(), before);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::sample;

    #[test]
    fn every_line_is_an_object_with_its_kind() {
        let report = sample::recycle();
        let lines = lines(&report).unwrap();
        let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
        let of = |kind: &str| kinds.iter().filter(|other| **other == kind).count();
        assert_eq!(kinds[0], "report");
        assert_eq!((of("input"), of("finding")), (report.inputs.len(), report.findings.len()));
        assert!(lines.iter().all(|line| !line.to_string().contains('\n')), "one line each");
        let finding = lines.iter().find(|line| line["kind"] == "finding").unwrap();
        let (id, name) = (&finding["exhibits"][0]["input"], &finding["exhibits"][0]["input_name"]);
        let input = report.inputs.iter().find(|input| *id == input.id.as_str()).unwrap();
        assert_eq!(*name, input.name.as_str());
        assert_eq!(lines.iter().find(|line| line["kind"] == "input").unwrap()["is"], "capture");
    }
}
