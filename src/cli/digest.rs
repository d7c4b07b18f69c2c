//! `--digest`: hashes of the inputs, so that a report can be held against the files that it was made of.

use std::io::{self, Read};

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::ingest;
use crate::input::Source;
use crate::report::model::Input;

/// Adds the SHA-256 of each file as it lies there, and of each member of an archive as it is unpacked.
pub(super) fn add(inputs: &mut [Input], sources: &[Source]) -> anyhow::Result<()> {
    for source in sources {
        let Some(path) = source.path() else { continue };
        let Some(input) = inputs.iter_mut().find(|input| input.name == source.name) else {
            let member =
                |input: &Input| input.name.strip_prefix(&*source.name).is_some_and(|rest| rest.starts_with('!'));
            if inputs.iter().any(member) {
                members(inputs, source);
            }
            continue;
        };
        let file = std::fs::File::open(path).and_then(|mut file| sha256(&mut file));
        input.digest = Some(file.with_context(|| format!("cannot read {} for its digest", path.display()))?);
    }
    Ok(())
}

fn members(inputs: &mut [Input], source: &Source) {
    ingest::members(source, &mut |name, octets| {
        let digest = sha256(octets).ok();
        if let Some(input) = inputs.iter_mut().find(|input| input.name == name) {
            input.digest = digest;
        }
    });
}

/// `sha256:` and the digest in hexadecimal digits.
pub(super) fn sha256(octets: &mut dyn Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        match octets.read(&mut block) {
            Ok(0) => break,
            Ok(length) => hash.update(block.get(..length).unwrap_or(&[])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let digits: String = hash.finalize().iter().map(|octet| format!("{octet:02x}")).collect();
    Ok(format!("sha256:{digits}"))
}
