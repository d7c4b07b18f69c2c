//! Makes the SVG of the drawing library fit for reports: text in the page's colour and font, a name, a description.
//!
//! SVG 1.1; nothing in it refers to another file. The background is transparent, and everything that is drawn in ink
//! has `currentColor`: a page that holds the SVG inline decides it, and on its own it follows the reader's preference.

use std::fmt::Write;

use super::colour::INK;
use super::font::FAMILY;
use super::paint::SCALE;
use super::scene::WIDTH;

/// The root's class, for pages that hold the chart inline and want it styled.
const CLASS: &str = "lastack-chart";

/// `:where` has no weight, so any rule of the page for the class wins.
const STYLE: &str =
    ":where(.lastack-chart){color:#1f2329}@media(prefers-color-scheme:dark){:where(.lastack-chart){color:#d5d9e0}}";

/// DejaVu and Verdana have the widths the layout was computed with; other fonts are narrower.
const FONTS: &str = "'DejaVu Sans',Verdana,Geneva,sans-serif";

/// `document` as the library wrote it becomes a document for reports, `height` pixels high.
pub(super) fn finish(document: &str, height: f64, title: &str, alt: &str) -> String {
    let ink = format!("#{:02X}{:02X}{:02X}", INK.rgb.0, INK.rgb.1, INK.rgb.2);
    let body = document.split_once('\n').map_or("", |(_, body)| body);
    // Inside texts quotes are escaped, so that these patterns only match attributes of the library's own making.
    let body = body
        .replace(&format!("\"{ink}\""), "\"currentColor\"")
        .replace(" dy=\"0.76em\"", "")
        .replace(" text-anchor=\"start\"", "")
        .replace(&format!(" font-family=\"{FAMILY}\""), "")
        .replace(" opacity=\"1\"", "")
        .replace(" stroke=\"none\"", "")
        .replace(" \"/>", "\"/>")
        .replace(">\n", ">")
        .replace("\n</text>", "</text>");
    let mut svg = String::with_capacity(body.len() + 1000);
    let (view_width, view_height) = (WIDTH * SCALE, height.ceil() * SCALE);
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"{CLASS}\" width=\"{WIDTH}\" height=\"{}\" \
         viewBox=\"0 0 {view_width} {view_height}\" role=\"img\" font-family=\"{FONTS}\">",
        height.ceil()
    );
    let _ = write!(svg, "<title>{}</title><desc>{}</desc><style>{STYLE}</style>", escaped(title), escaped(alt));
    svg.push_str(&body);
    svg
}

pub(super) fn escaped(text: &str) -> String {
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ink_becomes_the_colour_of_the_page() {
        let drawn = "<svg width=\"1\">\n<text x=\"1\" dy=\"0.76em\" font-family=\"chart\" opacity=\"1\" fill=\"#1F2329\">\nfill=&quot;#1F2329&quot;\n</text>\n</svg>\n";
        let svg = finish(drawn, 480.0, "a < b", "c & d");
        assert!(svg.contains("<title>a &lt; b</title><desc>c &amp; d</desc>"));
        assert!(svg.contains("<text x=\"1\" fill=\"currentColor\">fill=&quot;#1F2329&quot;</text>"));
        assert!(svg.ends_with("</svg>"));
    }
}
