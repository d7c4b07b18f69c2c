//! The largest caches of the slab allocator: `slabtop -o`.
//!
//! It follows slabtop(1): totals first, then `OBJS ACTIVE USE OBJ SIZE SLABS OBJ/SLAB CACHE SIZE NAME`.

use super::facts::{Sample, Slab, Source};
use super::hint::Hint;
use super::text::{Names, leading_number};
use super::{Out, Parser, Taken};

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    let text = text.trim_start();
    text.starts_with("Active / Total Objects") || text.starts_with("OBJS ACTIVE  USE")
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Slabtop { opened: false })
}

struct Slabtop {
    opened: bool,
}

impl Parser for Slabtop {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        let trimmed = text.trim();
        if trimmed.starts_with("Active / Total Objects") && std::mem::replace(&mut self.opened, true) {
            return Taken::Foreign;
        }
        if let Some((name, values)) = trimmed.split_once(':').filter(|(name, _)| name.contains(" / ")) {
            // `Active / Total Objects (% used)    : 2321702 / 2526397 (91.9%)`: the total is the second number.
            let name = name.split(" (").next().unwrap_or(name).trim();
            let Some(value) = values.split('/').nth(1).and_then(|word| leading_number(word.trim())) else {
                return Taken::Bad("a total that is no number");
            };
            let (subject, name) = (out.names.get("slab"), out.names.get(name));
            out.facts.samples.push(Sample { format: "slabtop", subject, name, value, time_of_day: None, source });
            return Taken::Row;
        }
        if trimmed.is_empty() || trimmed.starts_with("OBJS ") {
            return Taken::Part;
        }
        match row(trimmed, source, out.names) {
            Some(slab) => {
                out.facts.slabs.push(slab);
                Taken::Row
            }
            None => Taken::Foreign,
        }
    }
}

/// `303660 303660 100%    1.10K  21690       14    347040K ext4_inode_cache`.
fn row(text: &str, source: Source, names: &mut Names) -> Option<Slab> {
    let mut words = text.split_ascii_whitespace();
    let (objects, active) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    words.next().filter(|word| word.ends_with('%'))?;
    let size = words.next()?.strip_suffix('K').and_then(leading_number)?;
    let slabs = words.next()?.parse().ok()?;
    words.next()?.parse::<u64>().ok()?;
    words.next()?;
    let name = words.collect::<Vec<_>>().join(" ");
    // Sizes are printed in KiB with two decimals: whole bytes are lost, and never negative.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let object_bytes = (size * 1024.0).round() as u64;
    Some(Slab {
        name: (!name.is_empty()).then(|| names.get(&name))?,
        active_objects: active,
        objects,
        object_bytes,
        slabs: Some(slabs),
        pages_per_slab: None,
        tunable: None,
        source,
    })
}
