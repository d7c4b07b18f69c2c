//! One chart on the page: its SVG goes into the document itself, after a look at it.
//!
//! The SVG is this program's own. Names of hosts are drawn in it, though, so that a mistake in its making must not
//! become a script on somebody's page: what could run or fetch makes the page show the words instead.

use crate::report::model::ChartEntry;

/// A picture with its title and the same in words.
pub(super) struct Chart<'a> {
    pub entry: &'a ChartEntry,
    /// The `svg` element, or nothing where there is none that may be shown.
    pub svg: Option<String>,
}

impl<'a> Chart<'a> {
    pub fn new(entry: &'a ChartEntry, svg: &str) -> Self {
        Self { entry, svg: inline(svg) }
    }
}

/// The `svg` element of a document, fit to stand inside HTML; nothing where it could run or fetch something.
fn inline(document: &str) -> Option<String> {
    let element = document.get(document.find("<svg")?..)?.trim_end();
    let lower = element.to_ascii_lowercase();
    let whole = lower.ends_with("</svg>") && lower.matches("<svg").count() == 1;
    // HTML knows the namespace of `svg` by itself, and a page without addresses is seen to fetch nothing.
    (whole && !is_active(&lower)).then(|| element.replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1))
}

/// Whether an element in lower case runs or fetches; words that are drawn may speak of anything.
fn is_active(svg: &str) -> bool {
    let elements =
        ["<script", "<foreignobject", "<image", "<use", "<a ", "<a>", "<animate", "<set", "<iframe", "<!", "<?"];
    let inside_tags = || svg.split('<').filter_map(|part| part.split('>').next());
    let handler = inside_tags().any(|tag| tag.split([' ', '\n', '\t', '"', '\'', '/']).any(is_handler));
    let fetches = |text: &str| ["href", "url(", "javascript:", "@import"].iter().any(|word| text.contains(word));
    let style = svg.split("<style").skip(1).filter_map(|part| part.split("</style").next());
    handler
        || elements.iter().any(|name| svg.contains(name))
        || inside_tags().any(fetches)
        || style.into_iter().any(fetches)
}

fn is_handler(attribute: &str) -> bool {
    let name = attribute.split('=').next().unwrap_or_default();
    attribute.contains('=') && name.len() > 2 && name.starts_with("on") && name.chars().all(|c| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_picture_is_taken_over() {
        let document = "<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\"><text>on=1 href url(3)</text></svg>\n";
        assert_eq!(inline(document).as_deref(), Some("<svg width=\"9\"><text>on=1 href url(3)</text></svg>"));
    }

    #[test]
    fn nothing_that_runs_or_fetches_is_taken_over() {
        for inner in [
            "<script>alert(1)</script>",
            "<rect onload=\"alert(1)\"/>",
            "<rect\nonclick='x'/>",
            "<image href=\"x.png\"/>",
            "<style>@import 'x'</style>",
            "<rect fill=\"url(x)\"/>",
            "<style>rect{fill:url(x)}</style>",
            "<a href='javascript:x'>y</a>",
            "</svg><svg>",
        ] {
            assert_eq!(inline(&format!("<svg>{inner}</svg>")), None, "{inner}");
        }
        assert_eq!(inline("no picture"), None);
        assert_eq!(inline("<svg><rect/>"), None);
    }
}
