//! `--redact`: which key, and what takes the place of what.

use std::path::Path;

use anyhow::Context;

use super::run::Given;
use super::Protection;
use crate::redact::{Key, Redactor, SHORTEST_KEY};
use crate::segment::Replace;

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
        format!("the key {name} has {} bytes; expected at least {SHORTEST_KEY}, as from head -c 32 /dev/urandom", secret.len())
    })?;
    Ok(Redactor::new(key))
}

/// What takes the place of addresses and payloads of packets.
pub(super) struct Replacing<'a> {
    address: Box<dyn Fn([u8; 16]) -> [u8; 16] + 'a>,
    payload: Box<dyn Fn(&[u8]) -> [u8; 16] + 'a>,
}

impl<'a> Replacing<'a> {
    pub(super) fn new(redactor: &'a Redactor) -> Self {
        Self {
            address: Box::new(|octets| redactor.octets(octets)),
            payload: Box::new(|octets| redactor.payload(octets)),
        }
    }

    pub(super) fn replace(&self) -> Replace<'_> {
        Replace { address: &*self.address, payload: &*self.payload }
    }
}
