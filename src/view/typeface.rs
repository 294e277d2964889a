//! How wide text is: metrics of the embedded typeface, without a GPU.
//!
//! The typeface is Ubuntu Light; a character that it does not have shows as a box.

use std::sync::LazyLock;

use ab_glyph::{Font as _, FontRef, GlyphId};

/// No single text is laid out beyond this many characters.
const MAX_CHARACTERS: usize = 600;

/// Which point of a text lies at its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Its left end.
    Left,
    /// Its middle.
    Center,
    /// Its right end.
    Right,
}

impl Align {
    /// The left end of a text of `width` that is aligned at `x`.
    pub(super) fn left(self, x: f32, width: f32) -> f32 {
        match self {
            Self::Left => x,
            Self::Center => x - width / 2.0,
            Self::Right => x - width,
        }
    }
}

/// The embedded typeface.
static UBUNTU_LIGHT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT)
        .expect("the embedded typeface is valid")
});

pub(super) fn font() -> &'static FontRef<'static> {
    &UBUNTU_LIGHT
}

/// Glyphs of the characters below [`ASCII`], which nearly all text consists of: looking them up in the tables of the typeface
/// takes longer than all else that is done with text.
struct AsciiGlyphs {
    glyphs: Vec<GlyphId>,
    /// In font units.
    advances: Vec<f32>,
    /// In font units, `[before, after]`.
    kerning: Vec<f32>,
}

const ASCII: usize = 128;

static ASCII_GLYPHS: LazyLock<AsciiGlyphs> = LazyLock::new(|| {
    let font = font();
    let characters = (0..ASCII as u8).map(char::from);
    let glyphs: Vec<GlyphId> = characters.map(|c| font.glyph_id(printable(c))).collect();
    let pairs = glyphs
        .iter()
        .flat_map(|&a| glyphs.iter().map(move |&b| (a, b)));
    AsciiGlyphs {
        advances: glyphs
            .iter()
            .map(|&glyph| font.h_advance_unscaled(glyph))
            .collect(),
        kerning: pairs.map(|(a, b)| font.kern_unscaled(a, b)).collect(),
        glyphs,
    }
});

/// Control characters take the place of a blank.
fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// The pixels that one font unit takes at an em of `size` pixels.
pub(super) fn unit(size: f32) -> f32 {
    size / font().units_per_em().unwrap_or(1000.0)
}

/// The glyphs of `text` with the pen's position at each, and the position after the last, at an em of `size` pixels.
pub(super) fn run(text: &str, size: f32) -> (Vec<(GlyphId, f32)>, f32) {
    let (font, ascii, unit) = (font(), &*ASCII_GLYPHS, unit(size));
    let mut pen = 0.0;
    let mut before: Option<(char, GlyphId)> = None;
    let mut glyphs = Vec::new();
    for c in text.chars().take(MAX_CHARACTERS) {
        let (glyph, advance) = match c.is_ascii() {
            true => (ascii.glyphs[c as usize], ascii.advances[c as usize]),
            false => {
                let glyph = font.glyph_id(printable(c));
                (glyph, font.h_advance_unscaled(glyph))
            }
        };
        if let Some((earlier, before)) = before {
            let kerning = match c.is_ascii() && earlier.is_ascii() {
                true => ascii.kerning[earlier as usize * ASCII + c as usize],
                false => font.kern_unscaled(before, glyph),
            };
            pen += kerning * unit;
        }
        glyphs.push((glyph, pen));
        pen += advance * unit;
        before = Some((c, glyph));
    }
    (glyphs, pen)
}

/// Measures text whose sizes are in points, for pictures of `scale_factor` pixels a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextMetrics {
    /// Pixels a point.
    pub scale_factor: f32,
}

impl TextMetrics {
    /// The width in pixels of `text` at an em of `size` points.
    pub fn width(&self, text: &str, size: f32) -> f32 {
        run(text, size * self.scale_factor).1
    }

    /// `text`, cut short with an ellipsis where it is wider than `width` pixels.
    pub fn fitted(&self, text: &str, size: f32, width: f32) -> String {
        let is_long = text.chars().nth(MAX_CHARACTERS).is_some();
        if !is_long && self.width(text, size) <= width {
            return text.to_owned();
        }
        let room = width - self.width("\u{2026}", size);
        let (glyphs, end) = run(text, size * self.scale_factor);
        let ends = glyphs.iter().skip(1).map(|(_, pen)| *pen).chain([end]);
        let fits = ends.take_while(|end| *end <= room).count();
        let kept: String = text.chars().take(fits).collect();
        format!("{}\u{2026}", kept.trim_end())
    }

    /// `text` broken between words into at most `max_lines` lines of at most `width` pixels.
    pub fn wrapped(&self, text: &str, size: f32, width: f32, max_lines: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        if max_lines == 0 {
            return lines;
        }
        for word in text.split_whitespace().take(MAX_CHARACTERS) {
            let longer = match lines.last() {
                Some(line) => format!("{line} {word}"),
                None => word.to_owned(),
            };
            let is_full = lines.len() == max_lines;
            match lines.last_mut() {
                Some(line) if is_full || self.width(&longer, size) <= width => *line = longer,
                _ => lines.push(if lines.is_empty() {
                    longer
                } else {
                    word.to_owned()
                }),
            }
        }
        lines
            .iter()
            .map(|line| self.fitted(line, size, width))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Glyphs of ASCII come from a table: it has what the typeface has.
    #[test]
    fn text_is_as_wide_as_the_typeface_says() {
        for text in [
            "AVATAR To Wa, 3.5e-2",
            "tab\tand\u{7f}",
            "naïve élan – Ωmega",
            "",
        ] {
            let (font, unit) = (font(), unit(13.0));
            let glyphs: Vec<GlyphId> = text.chars().map(|c| font.glyph_id(printable(c))).collect();
            let advances = glyphs.iter().map(|&glyph| font.h_advance_unscaled(glyph));
            let pairs = glyphs
                .windows(2)
                .map(|pair| font.kern_unscaled(pair[0], pair[1]));
            let width = advances.chain(pairs).sum::<f32>() * unit;
            let (found, end) = run(text, 13.0);
            assert!((end - width).abs() < 1e-3, "{text}: {end} {width}");
            assert!(found.iter().map(|(glyph, _)| glyph).eq(&glyphs), "{text}");
        }
    }

    #[test]
    fn text_is_cut_and_wrapped_to_its_width() {
        let metrics = TextMetrics { scale_factor: 1.0 };
        let cut = metrics.fitted("a long text that does not fit", 14.0, 60.0);
        assert!(cut.ends_with('\u{2026}') && metrics.width(&cut, 14.0) <= 60.0);
        assert_eq!(metrics.fitted("fits", 14.0, 60.0), "fits");
        assert_eq!(metrics.fitted("", 14.0, 0.0), "");
        let lines = metrics.wrapped(&"word ".repeat(500), 14.0, 100.0, 3);
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| metrics.width(line, 14.0) <= 100.0));
        assert!(metrics.wrapped("", 14.0, 100.0, 3).is_empty());
    }
}
