//! `junit.xml`: every rule is a test case, so that the test pages of build servers show what was found.
//!
//! The format is that which Jenkins and GitLab read: a test case has one `failure` at most, so it lists all findings
//! of its rule. A rule fails where a finding fails the gate; without a gate, where one is a warning or worse. A rule
//! that found nothing and could not judge everything is skipped, with its reason. There are no times: none are measured.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::gate::GateVerdict;
use super::model::Report;
use super::text::visible;
use super::words::{confidence_word, severity_word};
use super::{Material, Output};
use crate::diagnosis::{Finding, NotJudged, RULES, Rule, Severity};
use crate::language::Language;

/// Writes `junit.xml`.
///
/// # Errors
/// If it cannot be written.
pub fn render(material: &Material<'_>, output: &mut dyn Output) -> io::Result<()> {
    let text = document(&material.report)?;
    output.file("junit.xml", &mut |file| file.write_all(&text))
}

/// A rule's test case.
struct Case<'a> {
    rule: &'a Rule,
    failing: Vec<&'a Finding>,
    passing: Vec<&'a Finding>,
    open: Vec<&'a NotJudged>,
}

impl<'a> Case<'a> {
    fn new(report: &'a Report, rule: &'a Rule) -> Self {
        let of_rule = report.findings.iter().filter(|finding| finding.rule == rule.code);
        let (failing, passing) = of_rule.partition(|finding| fails(report, finding));
        let open = report.not_judged.iter().filter(|open| open.rule == rule.code).collect();
        Self { rule, failing, passing, open }
    }

    fn is_skipped(&self) -> bool {
        self.failing.is_empty() && self.passing.is_empty() && !self.open.is_empty()
    }
}

/// Whether a finding fails its rule's test case.
fn fails(report: &Report, finding: &Finding) -> bool {
    match report.gate.as_ref().filter(|gate| gate.fail_on.is_some()).and_then(|gate| gate.of(&finding.id)) {
        Some(judged) => judged.verdict == GateVerdict::Fails,
        None => finding.severity >= Severity::Warning,
    }
}

fn document(report: &Report) -> io::Result<Vec<u8>> {
    let cases: Vec<Case<'_>> = RULES.iter().map(|rule| Case::new(report, rule)).collect();
    let counts = [
        ("tests", cases.len()),
        ("failures", cases.iter().filter(|case| !case.failing.is_empty()).count()),
        ("errors", 0),
        ("skipped", cases.iter().filter(|case| case.is_skipped()).count()),
    ]
    .map(|(name, count)| (name, count.to_string()));
    let counts = || counts.iter().map(|(name, count)| (*name, count.as_str()));
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    writer
        .create_element("testsuites")
        .with_attribute(("name", "lastack"))
        .with_attributes(counts())
        .write_inner_content(|writer| {
            let suite = writer.create_element("testsuite").with_attribute(("name", suite(report).as_str()));
            suite
                .with_attributes(counts())
                .write_inner_content(|writer| cases.iter().try_for_each(|case| test_case(writer, case)))?;
            Ok(())
        })?;
    let mut text = writer.into_inner();
    text.push(b'\n');
    Ok(text)
}

/// Text that XML 1.0 can hold (section 2.2): what has no picture is written out, and the two characters that are none
/// are replaced.
fn safe(text: &str) -> String {
    visible(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// What was looked at names the suite.
fn suite(report: &Report) -> String {
    let read = report.inputs.iter().filter(|input| input.kind != "other");
    let names: Vec<&str> = read.map(|input| input.name.as_str()).take(3).collect();
    if names.is_empty() { "lastack".to_owned() } else { safe(&names.join(", ")) }
}

fn test_case(writer: &mut Writer<Vec<u8>>, case: &Case<'_>) -> io::Result<()> {
    let name = format!("{} {}", case.rule.code, case.rule.name);
    let family = case.rule.code.trim_end_matches(|c: char| c.is_ascii_digit());
    let class = format!("lastack.{family}");
    let element = writer.create_element("testcase").with_attribute(("classname", class.as_str()));
    let element = element.with_attribute(("name", name.as_str()));
    if case.failing.is_empty() && case.passing.is_empty() && case.open.is_empty() {
        element.write_empty()?;
        return Ok(());
    }
    element.write_inner_content(|writer| {
        if let Some(worst) = case.failing.first() {
            let text = case.failing.iter().map(|finding| told(finding)).collect::<Vec<_>>().join("\n");
            let failure = writer.create_element("failure").with_attribute(("type", severity_word(worst.severity)));
            failure
                .with_attribute(("message", safe(&worst.title).as_str()))
                .write_text_content(BytesText::new(&text))?;
        } else if case.is_skipped() {
            let because = case.open.iter().map(|open| open.because.as_str()).collect::<Vec<_>>().join("; ");
            writer.create_element("skipped").with_attribute(("message", safe(&because).as_str())).write_empty()?;
        }
        let beside: Vec<String> = case
            .passing
            .iter()
            .map(|finding| told(finding))
            .chain(case.open.iter().map(|open| not_judged(open)))
            .collect();
        if !beside.is_empty() {
            writer.create_element("system-out").write_text_content(BytesText::new(&beside.join("\n")))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn told(finding: &Finding) -> String {
    let exhibits = finding.exhibits.iter().take(5).map(|exhibit| {
        format!("  {} {}: {}\n", exhibit.input, super::words::place(exhibit, Language::En), exhibit.text)
    });
    let text = format!(
        "{} {} ({} confidence): {}\n{}\n{}",
        finding.id,
        severity_word(finding.severity),
        confidence_word(finding.confidence),
        finding.title,
        finding.summary,
        exhibits.collect::<String>()
    );
    safe(&text)
}

fn not_judged(open: &NotJudged) -> String {
    safe(&format!("not judged: {}; record next: {}\n", open.because, open.record_next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::sample;

    fn parsed(report: &Report) -> String {
        String::from_utf8(document(report).unwrap()).unwrap()
    }

    #[test]
    fn every_rule_is_a_test_case() {
        let text = parsed(&sample::recycle());
        let xml = roxmltree::Document::parse(&text).unwrap();
        let cases: Vec<_> = xml.descendants().filter(|node| node.has_tag_name("testcase")).collect();
        assert_eq!(cases.len(), RULES.len());
        let suite = xml.descendants().find(|node| node.has_tag_name("testsuite")).unwrap();
        let failed = cases.iter().filter(|case| case.children().any(|node| node.has_tag_name("failure"))).count();
        assert_eq!(suite.attribute("tests"), Some(RULES.len().to_string().as_str()));
        assert_eq!(suite.attribute("failures"), Some(failed.to_string().as_str()));
        let syn001 = cases.iter().find(|case| case.attribute("name") == Some("SYN001 per-host-paws-drop")).unwrap();
        let failure = syn001.children().find(|node| node.has_tag_name("failure")).unwrap();
        assert_eq!(failure.attribute("type"), Some("critical"));
        assert!(failure.text().unwrap().contains("SYN001-1 critical (high confidence)"));
    }

    #[test]
    fn words_of_strangers_stay_text() {
        let mut report = sample::recycle();
        report.findings[0].title = crate::language::Text::value("a \u{1} </testcase> \"<>&' ]]> \u{fffe}\u{202e}");
        let text = parsed(&report);
        let xml = roxmltree::Document::parse(&text).unwrap();
        let failure = xml.descendants().find(|node| node.has_tag_name("failure")).unwrap();
        assert!(failure.attribute("message").unwrap().starts_with("a ‹U+0001› </testcase> \"<>&' ]]>"));
    }

    #[test]
    fn nothing_found_is_all_passed() {
        let text = parsed(&sample::empty());
        let xml = roxmltree::Document::parse(&text).unwrap();
        assert!(xml.descendants().all(|node| !node.has_tag_name("failure") && !node.has_tag_name("skipped")));
    }
}
