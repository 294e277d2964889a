//! Pictures as SVG files: lines and text stay lines and text; what has no outlines is embedded as pixels.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use glam::Vec2;

use super::canvas::{self, Layer};
use super::geometry::{Plot, Rect};
use super::painter::Painter;
use super::picture::Picture;
use super::png::rgba_png;
use super::polylines::LineStyle;
use super::sketch::Mark;
use super::theme::{Color, MARK_ARM, STRONG_LINE_WIDTH, Theme};
use crate::series::ValueScale;
use crate::{Error, Result};

/// Ubuntu Light is what pictures are set in; the others are nearly as wide, and `textLength` makes up for the rest.
const FONTS: &str = "Ubuntu, 'Noto Sans', 'DejaVu Sans', sans-serif";
/// Points of a line this far beyond the picture are as good as those farther away, in pixels.
const FAR: f32 = 20_000.0;

impl Picture {
    /// What was drawn into the picture last as an SVG file, of the same size in points. Waits for the device.
    ///
    /// # Errors
    /// It was drawn by a painter that keeps no outlines ([`Painter::keeping_outlines`]), or the device was lost.
    pub fn svg(&self, painter: &Painter) -> Result<String> {
        let marks = self.sketch().marks().ok_or_else(|| {
            Error::input(
                "picture",
                "what it is made of was not kept, so that it has no outlines",
                "draw it with Painter::keeping_outlines",
            )
        })?;
        let [width, height] = self.size();
        let points = [width, height].map(|pixels| pixels as f32 / self.theme().scale_factor);
        let mut svg = Svg {
            text: format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {width} {height}\" font-family=\"{FONTS}\" font-weight=\"300\" stroke-linecap=\"round\" stroke-linejoin=\"round\">\n",
                points[0], points[1]
            ),
            clips: Vec::new(),
        };
        let whole = Rect::new(0.0, 0.0, width as f32, height as f32);
        svg.rect(whole, self.theme().background);
        for mark in &marks {
            match mark {
                Mark::Rect(rect, color) => svg.rect(*rect, *color),
                Mark::Text {
                    text,
                    size,
                    left,
                    baseline,
                    width,
                    color,
                } => svg.text(text, *size, [*left, *baseline], *width, *color),
                Mark::Curve {
                    pieces,
                    color,
                    width,
                    clip,
                } => {
                    let clip = svg.clip(*clip);
                    svg.path(&curve_path(pieces), *color, *width, clip);
                }
                Mark::Lines {
                    series,
                    plot,
                    styles,
                } => {
                    let values = painter.gpu().read(series.values())?;
                    let scale = series.scale();
                    let lines = LinesOf {
                        values: &values,
                        steps: series.steps(),
                        scale: &scale,
                        plot,
                    };
                    svg.lines(&lines, styles, self.theme());
                }
                Mark::Pixels(layer) => svg.image(&self.pixels(painter, layer)?, layer.scissor),
            }
        }
        svg.text.push_str("</svg>\n");
        Ok(svg.text)
    }

    /// A layer alone, over nothing, as the bytes of a PNG file of its rectangle.
    fn pixels(&self, painter: &Painter, layer: &Layer) -> Result<Vec<u8>> {
        let gpu = painter.gpu();
        let size = self.extent() / self.theme().scale_factor;
        let alone = Self::new(gpu, size.x, size.y, self.theme())?;
        let ground = canvas::Ground::Color([0; 4]);
        canvas::draw(painter, &alone, ground, std::slice::from_ref(layer));
        let all = alone.read(gpu)?;
        let row = alone.size()[0] as usize;
        let [left, top, width, height] = layer.scissor.map(|side| side as usize);
        let pixels = (top..top + height).flat_map(|y| {
            let first = 4 * (y * row + left);
            all[first..first + 4 * width].chunks_exact(4)
        });
        // Blended over nothing, colors are multiplied by their opacity; PNG wants them as they are.
        let plain = pixels.flat_map(|pixel| {
            let opacity = u32::from(pixel[3]).max(1);
            let color = |byte: u8| (u32::from(byte) * 255 / opacity).min(255) as u8;
            [color(pixel[0]), color(pixel[1]), color(pixel[2]), pixel[3]]
        });
        let plain: Vec<u8> = plain.collect();
        rgba_png([width as u32, height as u32], &plain)
    }
}

/// The text of a file so far.
struct Svg {
    text: String,
    /// Rectangles that something is cut off at, by their numbers.
    clips: Vec<Rect>,
}

impl Svg {
    /// The end of an element is all that is added, which cannot fail in memory.
    fn add(&mut self, arguments: std::fmt::Arguments<'_>) {
        let _ = self.text.write_fmt(arguments);
    }

    fn rect(&mut self, rect: Rect, color: Color) {
        let [x, y, width, height] = rect.to_array();
        let fill = paint("fill", color);
        self.add(format_args!(
            "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\"{fill}/>\n"
        ));
    }

    fn text(&mut self, text: &str, size: f32, [x, y]: [f32; 2], width: f32, color: Color) {
        let fill = paint("fill", color);
        let text = escaped(text);
        self.add(format_args!(
            "<text x=\"{x:.2}\" y=\"{y:.2}\" font-size=\"{size:.2}\" textLength=\"{width:.2}\" lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\"{fill}>{text}</text>\n"
        ));
    }

    /// The number of a clip path, which is defined where it is new.
    fn clip(&mut self, rect: Rect) -> usize {
        if let Some(known) = self.clips.iter().position(|clip| *clip == rect) {
            return known;
        }
        self.clips.push(rect);
        let number = self.clips.len() - 1;
        let [x, y, width, height] = rect.to_array();
        self.add(format_args!(
            "<clipPath id=\"clip{number}\"><rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\"/></clipPath>\n"
        ));
        number
    }

    fn path(&mut self, path: &str, color: Color, width: f32, clip: usize) {
        if path.is_empty() {
            return;
        }
        let stroke = paint("stroke", color);
        self.add(format_args!(
            "<path d=\"{path}\" fill=\"none\" stroke-width=\"{width:.2}\" clip-path=\"url(#clip{clip})\"{stroke}/>\n"
        ));
    }

    fn lines(&mut self, lines: &LinesOf<'_>, styles: &[LineStyle], theme: &Theme) {
        let clip = self.clip(lines.plot.rect);
        for style in styles {
            let [path, alone] = lines.path(style.line as usize);
            self.path(&path, style.color, style.width, clip);
            // A value on its own is a dot.
            self.path(&alone, style.color, 2.0 * style.width.max(1.0), clip);
        }
        // Marks come last, so that no line hides one.
        let [arm, stroke] = [theme.px(MARK_ARM), theme.px(STRONG_LINE_WIDTH)];
        for style in styles {
            let crosses = lines.crosses(style.line as usize, arm, arm + 2.0 * stroke);
            self.path(&crosses, theme.background, 3.0 * stroke, clip);
            self.path(&crosses, theme.nonfinite, stroke, clip);
        }
    }

    fn image(&mut self, png: &[u8], [x, y, width, height]: [u32; 4]) {
        let bytes = STANDARD.encode(png);
        self.add(format_args!(
            "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{bytes}\"/>\n"
        ));
    }
}

/// The attributes of a color, which is `fill` or `stroke`.
fn paint(attribute: &str, [red, green, blue, alpha]: Color) -> String {
    let opacity = match alpha {
        255 => String::new(),
        _ => format!(" {attribute}-opacity=\"{:.3}\"", f32::from(alpha) / 255.0),
    };
    format!(" {attribute}=\"#{red:02x}{green:02x}{blue:02x}\"{opacity}")
}

/// Text as XML holds it: control characters are spaces, as they are drawn.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

fn curve_path(pieces: &[[Vec2; 4]]) -> String {
    let mut path = String::new();
    for (index, [a, b, c, d]) in pieces.iter().enumerate() {
        if index == 0 {
            let _ = write!(path, "M{:.2} {:.2}", a.x, a.y);
        }
        let _ = write!(
            path,
            "C{:.2} {:.2} {:.2} {:.2} {:.2} {:.2}",
            b.x, b.y, c.x, c.y, d.x, d.y
        );
    }
    path
}

/// Lines of a buffer, and where their values are.
struct LinesOf<'a> {
    values: &'a [f32],
    steps: usize,
    scale: &'a ValueScale,
    plot: &'a Plot,
}

impl LinesOf<'_> {
    fn line(&self, line: usize) -> &[f32] {
        &self.values[line * self.steps..][..self.steps]
    }

    fn position(&self, step: usize, value: f32) -> Vec2 {
        let at = self.plot.to_pixel(step as f32, self.scale.height(value));
        at.clamp(Vec2::splat(-FAR), Vec2::splat(FAR))
    }

    /// Stretches of finite values, and values that have no neighbor. Only what lies in the plot, and one step beyond.
    fn path(&self, line: usize) -> [String; 2] {
        let values = self.line(line);
        let first = (self.plot.first.floor().max(0.0) as usize).saturating_sub(1);
        let end = (self.plot.last.max(0.0).ceil() as usize + 2).min(self.steps);
        let is_finite = |step: usize| values.get(step).is_some_and(|value| value.is_finite());
        let [mut path, mut alone] = [String::new(), String::new()];
        let within = values.iter().enumerate().take(end).skip(first);
        for (step, &value) in within {
            if !value.is_finite() {
                continue;
            }
            let at = self.position(step, value);
            let is_first = step == first || !is_finite(step - 1);
            if is_first && (step + 1 == end || !is_finite(step + 1)) {
                let _ = write!(alone, "M{:.2} {:.2}h0", at.x, at.y);
            } else {
                let letter = if is_first { 'M' } else { 'L' };
                let _ = write!(path, "{letter}{:.2} {:.2}", at.x, at.y);
            }
        }
        [path, alone]
    }

    /// A cross where a stretch of values begins that are not finite, kept `reach` inside of the plot.
    fn crosses(&self, line: usize, arm: f32, reach: f32) -> String {
        let values = self.line(line);
        let rect = self.plot.rect;
        let mut path = String::new();
        for step in 0..self.steps {
            let before = step.checked_sub(1).map(|before| values[before]);
            if values[step].is_finite() || before.is_some_and(|before| !before.is_finite()) {
                continue;
            }
            let mut at = match before {
                Some(value) => self.position(step - 1, value),
                None => Vec2::new(self.position(step, 0.0).x, rect.top()),
            };
            if at.x < rect.left() || at.x > rect.right() {
                continue;
            }
            let low = rect.min + reach;
            at = at.max(low).min((rect.min + rect.size - reach).max(low));
            let (x, y, d) = (at.x - arm, at.y - arm, 2.0 * arm);
            let _ = write!(
                path,
                "M{x:.2} {y:.2}l{d:.2} {d:.2}M{x:.2} {:.2}l{d:.2} {:.2}",
                y + d,
                -d
            );
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Scale;

    #[test]
    fn lines_are_interrupted_where_values_are_not_finite_and_text_is_escaped() {
        let values = [0.0, 1.0, f32::NAN, 0.5, f32::INFINITY];
        let scale = ValueScale::fit(Scale::Linear, &[0.0, 1.0]);
        let plot = Plot::over(Rect::new(10.0, 20.0, 40.0, 100.0), 5);
        let lines = LinesOf {
            values: &values,
            steps: 5,
            scale: &scale,
            plot: &plot,
        };
        let y = |value: f32| plot.to_pixel(0.0, scale.height(value)).y;
        let [path, alone] = lines.path(0);
        assert_eq!(path, format!("M10.00 {:.2}L20.00 {:.2}", y(0.0), y(1.0)));
        assert_eq!(alone, format!("M40.00 {:.2}h0", y(0.5)));
        let crosses = lines.crosses(0, 3.0, 6.0);
        assert_eq!(crosses.matches('M').count(), 4, "{crosses}");
        assert_eq!(escaped("a<b & c\u{7}>"), "a&lt;b &amp; c &gt;");
        assert_eq!(paint("fill", [255, 0, 16, 255]), " fill=\"#ff0010\"");
        assert!(paint("stroke", [0, 0, 0, 51]).ends_with("stroke-opacity=\"0.200\""));
    }
}
