//! Redaction: what names people, hosts and networks is replaced before anything is concluded from it, so that nothing to
//! the right ever sees the original.
//!
//! One mapping holds for the report, its charts, tables and evidence. Addresses are mapped one to one, and two that share
//! their first bits still do (J. Xu et al., "Prefix-Preserving IP Address Anonymization", 2002); special ranges (RFC 6890)
//! stay what they are. Ports, sequence numbers, timestamps and times stay: the diagnosis can be repeated on what is left.

mod address;
mod facts;
mod names;

use std::io::Read;
use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use self::address::Addresses;
pub use self::names::rename;
use crate::ingest::Reading;
use crate::segment::Replace;

/// Replaces one thing by another, always in the same way.
#[derive(Debug)]
pub struct Redactor {
    key: Key,
    addresses: Addresses,
}

/// The secret of a mapping; whoever has it can look for originals by trying.
#[derive(Clone, Copy)]
pub struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Octets of a key file that are needed at least.
pub const SHORTEST_KEY: usize = 16;

impl Key {
    /// The key that a file of at least [`SHORTEST_KEY`] octets stands for.
    #[must_use]
    pub fn of_secret(secret: &[u8]) -> Option<Self> {
        (secret.len() >= SHORTEST_KEY)
            .then(|| Self(hash(b"lastack redaction, key file", &mut &*secret).unwrap_or_default()))
    }

    /// The key that follows from what was given: the same inputs are redacted in the same way.
    ///
    /// # Errors
    /// If `inputs` cannot be read.
    pub fn of_content(inputs: &mut dyn Read) -> std::io::Result<Self> {
        hash(b"lastack redaction, content", inputs).map(Self)
    }

    /// A keyed hash of several parts under a label.
    fn mac(&self, label: &str, content: &[u8]) -> [u8; 32] {
        // A key of any length is one of HMAC's (RFC 2104 section 2).
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return self.0 };
        mac.update(label.as_bytes());
        mac.update(&[0]);
        mac.update(content);
        mac.finalize().into_bytes().into()
    }
}

fn hash(label: &[u8], content: &mut dyn Read) -> std::io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    hash.update(label);
    let mut block = vec![0; 1 << 16];
    loop {
        match content.read(&mut block) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(length) => hash.update(block.get(..length).unwrap_or(&[])),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl Redactor {
    /// Redacts by a key.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self { key, addresses: Addresses::default() }
    }

    /// Replaces an address by another one of its kind.
    #[must_use]
    pub fn ip(&self, ip: IpAddr) -> IpAddr {
        match ip {
            IpAddr::V4(v4) => IpAddr::V4(self.addresses.v4(&self.key, v4)),
            IpAddr::V6(v6) => IpAddr::V6(self.addresses.v6(&self.key, v6)),
        }
    }

    /// A name of a kind in place of another one: `host-3f9a01`.
    #[must_use]
    pub fn name(&self, kind: &'static str, name: &str) -> String {
        let hash = self.key.mac(kind, name.as_bytes());
        let [a, b, c, ..] = hash;
        format!("{kind}-{a:02x}{b:02x}{c:02x}")
    }

    /// Redacts all that was read: addresses in connections and pings, and what hosts say of themselves. What inputs
    /// are called is left to [`rename`], since their places in folders tell which belong together.
    pub fn reading(&self, reading: &mut Reading) {
        let map = |octets| self.address(octets);
        for shard in &mut reading.parts.shards {
            shard.map_addresses(&map);
        }
        for (_, echo, _) in &mut reading.parts.echoes {
            (echo.src, echo.dst) = (map(echo.src), map(echo.dst));
        }
        for input in &mut reading.inputs {
            if let crate::ingest::Kind::Snapshot(text) = &mut input.kind {
                self.facts(&mut text.facts);
            }
        }
    }
}

impl Replace for Redactor {
    fn address(&self, octets: [u8; 16]) -> [u8; 16] {
        match self.ip(IpAddr::from(octets).to_canonical()) {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        }
    }

    fn payload(&self, octets: &[u8]) -> [u8; 16] {
        let hash = self.key.mac("payload", octets);
        hash.first_chunk::<16>().copied().unwrap_or_default()
    }
}
