//! Draws a scene on any backend of the drawing library, four backend pixels to one of the scene.
//!
//! Bitmaps are scaled down afterwards, which smooths their lines; an SVG gets finer coordinates than whole pixels.

use std::error::Error;

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{RGBAColor, ShapeStyle, TextStyle};

use super::colour::Colour;
use super::scene::{Anchor, Point, Scene, Shape, WIDTH, text_box};
use super::{DrawError, font, png, svg};

/// Backend pixels to a pixel of the scene.
pub(super) const SCALE: f64 = 4.0;

/// The scene as an opaque bitmap of twice its size.
pub(super) fn png(scene: &Scene) -> Result<Vec<u8>, DrawError> {
    let (width, height) = backend_size(scene);
    let mut pixels = vec![0xff; 3 * width as usize * height as usize];
    let mut backend = BitMapBackend::with_buffer(&mut pixels, (width, height));
    paint(scene, &mut backend, Medium::BITMAP)?;
    backend.present().map_err(drawing)?;
    drop(backend);
    png::encode(&png::halve(&pixels, width as usize)).map_err(DrawError::Encode)
}

/// The scene as an SVG document with a name and a description for readers who cannot see it.
pub(super) fn svg(scene: &Scene, title: &str, alt: &str) -> Result<String, DrawError> {
    let mut document = String::new();
    let mut backend = SVGBackend::with_string(&mut document, backend_size(scene));
    paint(scene, &mut backend, Medium::VECTOR)?;
    backend.present().map_err(drawing)?;
    drop(backend);
    Ok(svg::finish(&document, scene.height, title, alt))
}

fn backend_size(scene: &Scene) -> (u32, u32) {
    // An even number of rows, so that the bitmap can be halved; the casts saturate.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    ((WIDTH * SCALE) as u32, (scene.height.clamp(1.0, 8000.0).ceil() * SCALE) as u32)
}

/// What differs between backends of the library: where a text goes that is anchored at its top, and its size.
struct Medium {
    /// How far below its anchor the baseline of a text comes to lie, in parts of the library's text size.
    baseline: f64,
    /// The library's text size for one em.
    em: f64,
    /// Whether a path of several segments is drawn with clean corners.
    joins: bool,
    /// Whether letters are set with the right distances; if not, each is placed by itself.
    sets_text: bool,
}

impl Medium {
    /// `ab_glyph.rs` of plotters puts the baseline half a text size below, and has a line of the font for a text size.
    const BITMAP: Self = Self { baseline: 0.5, em: font::LINE_PER_EM, joins: false, sets_text: false };
    /// `plotters-svg` has 1.24 text sizes to the em; its `dy` is taken out afterwards, so the anchor is on the baseline.
    const VECTOR: Self = Self { baseline: 0.0, em: 1.24, joins: true, sets_text: true };
}

fn paint<B: DrawingBackend>(scene: &Scene, backend: &mut B, medium: Medium) -> Result<(), DrawError>
where
    B::ErrorType: 'static,
{
    font::register()?;
    for shape in &scene.shapes {
        paint_shape(shape, backend, &medium)?;
    }
    Ok(())
}

fn drawing(error: impl Error + Send + Sync + 'static) -> DrawError {
    DrawError::Backend(Box::new(error))
}

fn paint_shape<B: DrawingBackend>(shape: &Shape, backend: &mut B, medium: &Medium) -> Result<(), DrawError>
where
    B::ErrorType: 'static,
{
    match shape {
        Shape::Line { points, width, colour } => {
            return paint_line(points, &style(*colour, *width), backend, medium);
        }
        Shape::Area { points, colour } => {
            backend.fill_polygon(points.iter().copied().map(scaled).collect::<Vec<_>>(), &style(*colour, 0.0))
        }
        Shape::Rect { at, size, colour } => {
            backend.draw_rect(scaled(*at), scaled((at.0 + size.0, at.1 + size.1)), &style(*colour, 0.0), true)
        }
        Shape::Circle { centre, radius, line, colour } => {
            let style = style(*colour, line.unwrap_or(0.0));
            backend.draw_circle(scaled(*centre), whole(radius * SCALE).unsigned_abs(), &style, line.is_none())
        }
        Shape::Text { at, text, anchor, size, bold, colour } => {
            let text = Text { text, size: *size, bold: *bold, colour: rgba(*colour) };
            return paint_text(*at, &text, *anchor, backend, medium);
        }
    }
    .map_err(drawing)
}

/// What a text looks like, wherever it is.
struct Text<'a> {
    text: &'a str,
    size: f64,
    bold: bool,
    colour: RGBAColor,
}

fn paint_text<B: DrawingBackend>(
    (x, y): Point,
    text: &Text<'_>,
    anchor: Anchor,
    backend: &mut B,
    medium: &Medium,
) -> Result<(), DrawError>
where
    B::ErrorType: 'static,
{
    let library_size = text.size * SCALE * medium.em;
    let font = font::face(library_size, text.bold);
    let top = whole(y * SCALE).saturating_sub(whole(library_size * medium.baseline));
    let style = |at: HPos| TextStyle::from(font.clone()).color(&text.colour).pos(Pos::new(at, VPos::Top));
    if medium.sets_text {
        let at = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        return backend.draw_text(text.text, &style(at), (whole(x * SCALE), top)).map_err(drawing);
    }
    let (style, em) = (style(HPos::Left), text.size * SCALE);
    let (mut pen, ..) = text_box((x, y), text.text, anchor, text.size, text.bold);
    pen *= SCALE;
    for letter in text.text.chars() {
        let measure = font::measure(letter, text.bold);
        // The library puts the ink at the place it is given, rounded down as the ink's own edge is.
        let ink = whole(pen).saturating_add(whole((measure.bearing * em).floor()));
        backend.draw_text(letter.encode_utf8(&mut [0; 4]), &style, (ink, top)).map_err(drawing)?;
        pen += measure.advance * em;
    }
    Ok(())
}

fn paint_line<B: DrawingBackend>(
    points: &[Point],
    style: &ShapeStyle,
    backend: &mut B,
    medium: &Medium,
) -> Result<(), DrawError>
where
    B::ErrorType: 'static,
{
    if medium.joins && points.len() > 2 {
        let path = points.iter().copied().map(scaled).collect::<Vec<_>>();
        return backend.draw_path(path, style).map_err(drawing);
    }
    // Half a line width more at both ends fills the corners of a path, which a single line has not.
    let cap = if points.len() > 2 { whole(f64::from(style.stroke_width) / 2.0) } else { 0 };
    for pair in points.windows(2) {
        let [from, to] = pair else { continue };
        let (from, to) = (scaled(*from), scaled(*to));
        if !medium.joins && (from.0 == to.0 || from.1 == to.1) {
            let (least, most) = upright(from, to, cap, style);
            backend.draw_rect(least, most, style, true).map_err(drawing)?;
        } else {
            backend.draw_line(from, to, style).map_err(drawing)?;
        }
    }
    Ok(())
}

/// A line along an axis as a rectangle, longer at both ends by `cap`: its upper left and lower right corner.
fn upright(from: (i32, i32), to: (i32, i32), cap: i32, style: &ShapeStyle) -> ((i32, i32), (i32, i32)) {
    let half = whole(f64::from(style.stroke_width) / 2.0);
    let (dx, dy) = if from.0 == to.0 { (half, cap) } else { (cap, half) };
    let least = (from.0.min(to.0).saturating_sub(dx), from.1.min(to.1).saturating_sub(dy));
    // The library fills the last row and column as well.
    let most = (from.0.max(to.0).saturating_add(dx - 1), from.1.max(to.1).saturating_add(dy - 1));
    (least, most)
}

fn style(colour: Colour, width: f64) -> ShapeStyle {
    let stroke_width = whole(width * SCALE).unsigned_abs().max(1);
    ShapeStyle { color: rgba(colour), filled: width == 0.0, stroke_width }
}

fn rgba(colour: Colour) -> RGBAColor {
    RGBAColor(colour.rgb.0, colour.rgb.1, colour.rgb.2, colour.alpha)
}

fn scaled(point: Point) -> (i32, i32) {
    (whole(point.0 * SCALE), whole(point.1 * SCALE))
}

/// The nearest whole number; the library computes with differences of coordinates, so none may be near the limits.
fn whole(value: f64) -> i32 {
    #[allow(clippy::cast_possible_truncation)]
    let rounded = value.round().clamp(-1e6, 1e6) as i32;
    rounded
}
