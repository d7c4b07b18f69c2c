//! `--redact`: by which key.

use std::path::Path;

use anyhow::Context;

use super::Protection;
use super::run::Given;
use crate::redact::{Key, Redactor, SHORTEST_KEY};

/// The redactor that was asked for.
pub(super) fn of(options: &Protection, given: &Given) -> anyhow::Result<Option<Redactor>> {
    match &options.redact_key {
        Some(path) => of_file(path).map(Some),
        None if options.redact => {
            let key = Key::of_content(&mut given.octets()).context("reading the inputs for a key")?;
            Ok(Some(Redactor::new(key)))
        }
        None => Ok(None),
    }
}

/// A redactor by the secret that a file holds.
pub(super) fn of_file(path: &Path) -> anyhow::Result<Redactor> {
    let name = path.display();
    let secret = std::fs::read(path).with_context(|| format!("cannot read the key {name}"))?;
    let key = Key::of_secret(&secret);
    let key = key.with_context(|| {
        format!(
            "the key {name} has {} bytes; expected at least {SHORTEST_KEY}, as from head -c 32 /dev/urandom",
            secret.len()
        )
    })?;
    Ok(Redactor::new(key))
}
