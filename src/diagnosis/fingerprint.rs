//! What stays the same of a finding when the same trouble is seen again: its rule, and whom it is about.
//!
//! Times, client ports, frame numbers, capture points and the names of files are left out. A host that snapshots
//! describe is named by its own name (`uname -n`), else by its lowest address; the name of the folder that its files
//! lay in counts only where several hosts have neither.

use super::Finding;
use crate::evidence::Evidence;
use crate::evidence::hosts::HostView;

/// The fingerprint of a finding.
pub(super) fn of(evidence: &Evidence, finding: &Finding) -> String {
    let Some(name) = &finding.subject.host else { return format!("{}:{}", finding.rule, finding.subject) };
    let mut subject = finding.subject.clone();
    subject.host = evidence.hosts.iter().find(|host| host.name == *name).map(|host| identity(evidence, host));
    format!("{}:{subject}", finding.rule)
}

fn identity(evidence: &Evidence, host: &HostView) -> String {
    if host.host.name().is_some() {
        return host.name.clone();
    }
    if let Some(address) = host.addresses().first() {
        return address.to_string();
    }
    let nameless = |other: &&HostView| other.host.name().is_none() && other.addresses().is_empty();
    if evidence.hosts.iter().filter(nameless).count() > 1 { host.name.clone() } else { "host".to_owned() }
}
