//! The one visual language: colors, sizes and color maps of everything that is drawn, light and dark.
//!
//! Colors are sRGB bytes with straight alpha, as in PNG and CSS.

/// sRGB red, green, blue and straight alpha.
pub type Color = [u8; 4];

/// Colors and sizes of a picture. Sizes are in points; [`Theme::scale_factor`] turns points into pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Theme {
    /// Behind everything.
    pub background: Color,
    /// Titles and values.
    pub text: Color,
    /// Notes, axis titles and tick labels.
    pub muted: Color,
    /// Axis lines and tick marks.
    pub axis: Color,
    /// Grid lines.
    pub grid: Color,
    /// Single lines over a density image.
    pub ink: Color,
    /// A line that is pointed at.
    pub highlight: Color,
    /// The mark of values that are not finite.
    pub nonfinite: Color,
    /// Lines that mean different things, in the order they are used.
    pub categorical: [Color; 6],
    /// Few to many, ten even steps; its low end is close to the background.
    pub sequential: [Color; 10],
    /// Pixels a point.
    pub scale_factor: f32,
}

/// Size of titles, in points.
pub const TITLE_SIZE: f32 = 15.0;
/// Size of notes, axis titles and legends, in points.
pub const LABEL_SIZE: f32 = 12.5;
/// Size of tick labels, in points: the smallest text there is.
pub const TICK_SIZE: f32 = 12.0;
/// Width of a line in a chart, in points.
pub const LINE_WIDTH: f32 = 1.25;
/// Width of a line that represents many or leads the eye, in points.
pub const STRONG_LINE_WIDTH: f32 = 1.5;
/// Width of a line that is pointed at, in points.
pub const HIGHLIGHT_LINE_WIDTH: f32 = 2.5;
/// Half the diagonal extent of the mark of non-finite values, in points.
pub const MARK_ARM: f32 = 3.5;

/// Blue, white, red in seven even steps: negative, zero, positive; readable for color-blind people.
pub const DIVERGING: [Color; 7] = [
    rgb(0x2166ac),
    rgb(0x67a9cf),
    rgb(0xd1e5f0),
    rgb(0xffffff),
    rgb(0xfddbc7),
    rgb(0xef8a62),
    rgb(0xb2182b),
];

const fn rgb(hex: u32) -> Color {
    [(hex >> 16) as u8, (hex >> 8) as u8, hex as u8, 255]
}

impl Theme {
    /// Dark on white.
    pub fn light() -> Self {
        Self {
            background: rgb(0xffffff),
            text: rgb(0x18202c),
            muted: rgb(0x4d5866),
            axis: rgb(0x8b95a3),
            grid: rgb(0xe4e8ed),
            ink: rgb(0x241338),
            highlight: rgb(0xc44200),
            nonfinite: rgb(0xd6006c),
            categorical: [
                rgb(0x0072b2),
                rgb(0xd55e00),
                rgb(0x00875f),
                rgb(0x7a55a8),
                rgb(0xb07d00),
                rgb(0x3d9bd1),
            ],
            // From pale to deep, so that few is close to the white background; no darker than lines can stand out from.
            sequential: [
                rgb(0xf2f7d5),
                rgb(0xdff0b0),
                rgb(0xc3e79b),
                rgb(0xa0dc90),
                rgb(0x79ce8c),
                rgb(0x56bd8c),
                rgb(0x3aab8d),
                rgb(0x2b988d),
                rgb(0x29858c),
                rgb(0x2d718a),
            ],
            scale_factor: 1.0,
        }
    }

    /// Light on near-black.
    pub fn dark() -> Self {
        Self {
            background: rgb(0x12161c),
            text: rgb(0xeef1f5),
            muted: rgb(0xaab3bf),
            axis: rgb(0x6d7784),
            grid: rgb(0x262d37),
            ink: rgb(0xfdf6d8),
            highlight: rgb(0xff9040),
            nonfinite: rgb(0xff5fae),
            categorical: [
                rgb(0x56b4f0),
                rgb(0xff9456),
                rgb(0x3fcf9f),
                rgb(0xc3a2ec),
                rgb(0xe8c24a),
                rgb(0x9adcff),
            ],
            sequential: [
                rgb(0x2a1a45),
                rgb(0x3b2465),
                rgb(0x443a80),
                rgb(0x3d5089),
                rgb(0x33648c),
                rgb(0x2b768d),
                rgb(0x24888d),
                rgb(0x229a89),
                rgb(0x33ab7e),
                rgb(0x57bb6c),
            ],
            scale_factor: 1.0,
        }
    }

    /// The same theme with `factor` pixels a point, for screens of high density. Held between 0.5 and 8.
    #[must_use]
    pub fn scaled(mut self, factor: f32) -> Self {
        self.scale_factor = factor.clamp(0.5, 8.0);
        self
    }

    /// Points as pixels.
    pub fn px(&self, points: f32) -> f32 {
        points * self.scale_factor
    }

    /// The sequential map at `t` in `[0, 1]`.
    pub fn sequential_at(&self, t: f32) -> Color {
        gradient(&self.sequential, t)
    }
}

/// The diverging map at `t`: -1 is the deepest blue, 0 white, 1 the deepest red.
pub fn diverging_at(t: f32) -> Color {
    gradient(&DIVERGING, t * 0.5 + 0.5)
}

/// `color` as the numbers in `[0, 1]` that shaders take.
pub(super) fn to_unit(color: Color) -> [f32; 4] {
    color.map(|byte| f32::from(byte) / 255.0)
}

/// `color` with its alpha times `opacity`.
pub fn with_opacity(color: Color, opacity: f32) -> Color {
    let [r, g, b, a] = color;
    [
        r,
        g,
        b,
        (f32::from(a) * opacity.clamp(0.0, 1.0)).round() as u8,
    ]
}

fn gradient(stops: &[Color], t: f32) -> Color {
    let position = t.clamp(0.0, 1.0) * (stops.len() - 1) as f32;
    let index = (position as usize).min(stops.len() - 2);
    let part = position - index as f32;
    std::array::from_fn(|channel| {
        let from = f32::from(stops[index][channel]);
        let to = f32::from(stops[index + 1][channel]);
        (from + (to - from) * part).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance after WCAG 2.
    fn luminance([r, g, b, _]: Color) -> f64 {
        let linear = |byte: u8| {
            let c = f64::from(byte) / 255.0;
            if c <= 0.04045 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
    }

    fn contrast(a: Color, b: Color) -> f64 {
        let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
        (a / b).max(b / a)
    }

    #[test]
    fn text_and_lines_contrast_with_the_background() {
        for theme in [Theme::light(), Theme::dark()] {
            assert!(contrast(theme.text, theme.background) > 12.0);
            assert!(contrast(theme.muted, theme.background) > 6.0);
            assert!(contrast(theme.nonfinite, theme.background) > 4.5);
            assert!(contrast(theme.highlight, theme.background) > 4.5);
            for color in theme.categorical {
                assert!(contrast(color, theme.background) > 3.0, "{color:?}");
            }
            for color in theme.sequential {
                assert!(contrast(color, theme.ink) > 2.0, "{color:?}");
            }
        }
    }

    #[test]
    fn sequential_map_is_monotonic_and_diverging_map_is_white_at_zero() {
        for theme in [Theme::light(), Theme::dark()] {
            let steps: Vec<f64> = (0..=32)
                .map(|i| luminance(theme.sequential_at(i as f32 / 32.0)))
                .collect();
            let rising = luminance(theme.background) < 0.5;
            assert!(steps.windows(2).all(|pair| (pair[1] > pair[0]) == rising));
        }
        assert_eq!(diverging_at(0.0), [255; 4]);
        assert_eq!(diverging_at(1.0), DIVERGING[6]);
        assert_eq!(diverging_at(-1.0), DIVERGING[0]);
    }
}
