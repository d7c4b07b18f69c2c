//! Caches of the slab allocator: `/proc/slabinfo`, version 2.1.
//!
//! It follows `print_slabinfo_header` (`mm/slab_common.c`). The tunables tell the allocator: SLAB has limits
//! there, SLUB zeros.

use super::facts::{Slab, Source};
use super::hint::Hint;
use super::text::Names;
use super::{Out, Parser, Taken};

pub(super) fn opens(text: &str, _hint: &Hint) -> bool {
    text.starts_with("slabinfo - version:")
        || text.starts_with("# name  ") && text.contains("<active_objs>")
        || is_row(text)
}

pub(super) fn parser(_hint: &Hint) -> Box<dyn Parser> {
    Box::new(Slabinfo { opened: false })
}

struct Slabinfo {
    opened: bool,
}

impl Parser for Slabinfo {
    fn line(&mut self, text: &str, source: Source, out: &mut Out<'_>) -> Taken {
        if text.starts_with("slabinfo - version:") {
            let again = std::mem::replace(&mut self.opened, true);
            return if again { Taken::Foreign } else { Taken::Part };
        }
        if text.starts_with("# name ") || text.trim().is_empty() {
            return Taken::Part;
        }
        if !is_row(text) {
            return Taken::Foreign;
        }
        self.opened = true;
        match row(text, source, out.names) {
            Some(slab) => {
                out.facts.slabs.push(slab);
                Taken::Row
            }
            None => Taken::Bad("a cache whose numbers are missing"),
        }
    }
}

fn is_row(text: &str) -> bool {
    text.contains(" : tunables ")
}

/// `dentry  1 2  192   21    1 : tunables  120   60    0 : slabdata      1      1      0`; a name may have blanks.
fn row(text: &str, source: Source, names: &mut Names) -> Option<Slab> {
    let (objects, rest) = text.split_once(" : tunables ")?;
    let (tunables, slabs) = rest.split_once(" : slabdata ").unwrap_or((rest, ""));
    let mut words: Vec<&str> = objects.split_ascii_whitespace().collect();
    let mut last = || words.pop().and_then(|word| word.parse::<u64>().ok());
    let (pages, _per_slab, object_bytes, objects, active) = (last()?, last()?, last()?, last()?, last()?);
    let name = words.join(" ");
    Some(Slab {
        name: (!name.is_empty()).then(|| names.get(&name))?,
        active_objects: active,
        objects,
        object_bytes,
        slabs: slabs.split_ascii_whitespace().nth(1).and_then(|word| word.parse().ok()),
        pages_per_slab: Some(pages),
        tunable: Some(tunables.split_ascii_whitespace().any(|word| word != "0")),
        source,
    })
}
