//! What inputs, hosts and folders are called, replaced once their places have told which belong together.

use super::Redactor;
use crate::evidence::Evidence;

/// Endings that say what a file is and nothing else.
const ENDINGS: [&str; 16] = [
    "pcap", "pcapng", "cap", "snoop", "gz", "zst", "xz", "bz2", "lz4", "zip", "tar", "tgz", "txt", "log", "out", "csv",
];

/// Gives inputs running numbers for names, and hosts and folders names by their hashes.
pub fn rename(evidence: &mut Evidence, redactor: &Redactor) {
    if let Some(part) = &evidence.part {
        evidence.part = Some(std::sync::Arc::new(part.in_other_words("(redacted)")));
    }
    let mut replaced: Vec<(String, String)> = Vec::new();
    for (number, input) in evidence.inputs.iter_mut().enumerate() {
        let name = file(number.saturating_add(1), &input.name);
        replaced.push((std::mem::replace(&mut input.name, name.clone()), name));
    }
    // Longer names first: one may begin with another.
    replaced.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    for note in evidence.inputs.iter_mut().flat_map(|input| &mut input.notes) {
        for (name, other) in &replaced {
            *note = note.replace(name.as_str(), other);
        }
    }
    for host in &mut evidence.hosts {
        // A host that names itself was renamed with its facts; others are called after their folders.
        let own = host.host.name();
        host.name = match own {
            Some(own) if host.name == *own => own.to_string(),
            Some(own) => format!("{own} ({})", redactor.name("namespace", &host.name)),
            None => redactor.name("host", &host.name),
        };
        for moment in &mut host.moments {
            moment.folder = redactor.name("folder", &moment.folder);
        }
    }
}

/// `file-3.pcap.gz`; members of archives `file-3.tar!member.txt`.
fn file(number: usize, name: &str) -> String {
    if name == "-" {
        return name.to_owned();
    }
    match name.split_once('!') {
        Some((archive, member)) => format!("file-{number}{}!member{}", endings(archive), endings(member)),
        None => format!("file-{number}{}", endings(name)),
    }
}

/// The known endings of a name, with their dots.
fn endings(name: &str) -> String {
    let base = name.rsplit(['/', '\\', '!']).next().unwrap_or(name);
    let known: Vec<&str> = base.rsplit('.').take_while(|ending| ENDINGS.contains(ending)).take(2).collect();
    known.iter().rev().map(|ending| format!(".{ending}")).collect()
}

#[cfg(test)]
mod tests {
    use super::file;

    #[test]
    fn endings_stay_and_nothing_else() {
        assert_eq!(file(3, "/srv/acme/web1.pcap.gz"), "file-3.pcap.gz");
        assert_eq!(file(1, "acme.tar!sos/web1/capture.pcapng"), "file-1.tar!member.pcapng");
        assert_eq!(file(2, "ss_-tan"), "file-2");
        assert_eq!(file(2, "-"), "-");
    }
}
