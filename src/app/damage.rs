//! Which parts of the window a frame changes. Only those are drawn again, over what is kept of the frame before: on a
//! software adapter the pixels that egui fills are most of what a frame costs.

use egui::epaint::{ClippedPrimitive, Primitive, Vertex};
use egui::{Color32, Mesh, Rect, TextureId};

/// Parts that are drawn on their own; of more, some are drawn together.
const MOST_PARTS: usize = 6;

/// The shapes of the last frame, and what else has changed since then.
#[derive(Debug)]
pub(super) struct Damage {
    shapes: Vec<ClippedPrimitive>,
    /// Textures with other content than in the last frame.
    renewed: Vec<TextureId>,
    /// Nothing is kept of the frame before.
    is_whole: bool,
}

impl Default for Damage {
    fn default() -> Self {
        Self {
            shapes: Vec::new(),
            renewed: Vec::new(),
            is_whole: true,
        }
    }
}

impl Damage {
    /// Everything has to be drawn again.
    pub fn all(&mut self) {
        self.is_whole = true;
    }

    /// Whatever shows this texture has to be drawn again.
    pub fn renew(&mut self, texture: TextureId) {
        self.renewed.push(texture);
    }

    /// Takes the shapes of a frame on a `screen` with so many pixels for each point, and returns the parts of the screen in
    /// which they look different from those before, in points, each of whole pixels.
    pub fn of(&mut self, shapes: Vec<ClippedPrimitive>, screen: Rect, scale: f32) -> Vec<Rect> {
        let before = std::mem::replace(&mut self.shapes, shapes);
        let renewed = std::mem::take(&mut self.renewed);
        if std::mem::take(&mut self.is_whole) {
            return vec![screen];
        }
        let parts = changed(&before, &self.shapes);
        let shown = self.shapes.iter().filter(|shape| match &shape.primitive {
            Primitive::Mesh(mesh) => renewed.contains(&mesh.texture_id),
            Primitive::Callback(_) => true,
        });
        let whole = |part: Rect| {
            // A pixel more on each side: shapes cover pixels at their edges in part.
            let [min, max] = [part.min * scale, part.max * scale];
            let (min, max) = (min.floor() - egui::Vec2::ONE, max.ceil() + egui::Vec2::ONE);
            Rect::from_min_max(min / scale, max / scale).intersect(screen)
        };
        let renewed = shown.map(|shape| match picture(shape) {
            // A picture on whole pixels ends where it ends.
            Some(part) if is_whole(part, scale) => part.intersect(screen),
            _ => whole(extent(shape)),
        });
        merged(parts.into_iter().map(whole).chain(renewed))
    }

    /// The shapes of the last frame within parts of the screen, one part after the other, each over an empty ground or over
    /// the last picture that covers it.
    pub fn shapes_in(&self, parts: &[Rect]) -> Vec<ClippedPrimitive> {
        let mut shapes = Vec::new();
        for part in parts {
            let covers = |shape| picture(shape).is_some_and(|rect| rect.contains_rect(*part));
            let cover = self.shapes.iter().rposition(covers);
            if cover.is_none() {
                let mut ground = Mesh::default();
                ground.add_colored_rect(*part, Color32::BLACK);
                shapes.push(ClippedPrimitive {
                    clip_rect: *part,
                    primitive: Primitive::Mesh(ground),
                });
            }
            for shape in &self.shapes[cover.unwrap_or(0)..] {
                if extent(shape).intersect(*part).is_positive() {
                    shapes.push(ClippedPrimitive {
                        clip_rect: shape.clip_rect.intersect(*part),
                        primitive: shape.primitive.clone(),
                    });
                }
            }
        }
        shapes
    }
}

/// Where a shape is nothing but one of our own pictures, through which nothing is seen.
fn picture(shape: &ClippedPrimitive) -> Option<Rect> {
    let Primitive::Mesh(mesh) = &shape.primitive else {
        return None;
    };
    let is_ours = matches!(mesh.texture_id, TextureId::User(_));
    let is_opaque = mesh.vertices.iter().all(|vertex| vertex.color.is_opaque());
    let is_rect = mesh.vertices.len() == 4 && mesh.indices.len() == 6;
    (is_ours && is_opaque && is_rect).then(|| extent(shape))
}

/// Whether the edges of a rectangle are those of pixels.
fn is_whole(rect: Rect, scale: f32) -> bool {
    let edges = [rect.min.x, rect.min.y, rect.max.x, rect.max.y];
    edges
        .iter()
        .all(|edge| (edge * scale - (edge * scale).round()).abs() < 1e-3)
}

/// Where a shape is seen.
fn extent(shape: &ClippedPrimitive) -> Rect {
    match &shape.primitive {
        Primitive::Mesh(mesh) => mesh.calc_bounds().intersect(shape.clip_rect),
        Primitive::Callback(callback) => callback.rect.intersect(shape.clip_rect),
    }
}

/// Where two lists of shapes look different. Shapes that are cut off alike and show the same texture are compared with each
/// other, from both ends of the lists, so that one more or less between them does not make all that follow others.
fn changed(before: &[ClippedPrimitive], after: &[ClippedPrimitive]) -> Vec<Rect> {
    let is_like = |(a, b): &(&ClippedPrimitive, &ClippedPrimitive)| {
        let textures = match (&a.primitive, &b.primitive) {
            (Primitive::Mesh(a), Primitive::Mesh(b)) => a.texture_id == b.texture_id,
            _ => false,
        };
        textures && a.clip_rect == b.clip_rect
    };
    let first = before.iter().zip(after).take_while(is_like).count();
    let (before, after) = (before.split_at(first), after.split_at(first));
    let ends = before.1.iter().rev().zip(after.1.iter().rev());
    let last = ends.take_while(is_like).count();
    let before_rest = before.1.split_at(before.1.len() - last);
    let after_rest = after.1.split_at(after.1.len() - last);
    let firsts = before.0.iter().zip(after.0);
    let pairs = firsts.chain(before_rest.1.iter().zip(after_rest.1));
    let mut parts: Vec<Rect> = pairs.filter_map(|(a, b)| difference(a, b)).collect();
    parts.extend(before_rest.0.iter().chain(after_rest.0).map(extent));
    parts
}

/// Where two shapes that are cut off alike look different.
fn difference(before: &ClippedPrimitive, after: &ClippedPrimitive) -> Option<Rect> {
    let (Primitive::Mesh(a), Primitive::Mesh(b)) = (&before.primitive, &after.primitive) else {
        return Some(extent(before).union(extent(after)));
    };
    if a == b {
        return None;
    }
    let [a, b] = [triangles(a), triangles(b)];
    let first = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let ends = a[first..].iter().rev().zip(b[first..].iter().rev());
    let last = ends.take_while(|(a, b)| a == b).count();
    let corners = a[first..a.len() - last]
        .iter()
        .chain(&b[first..b.len() - last])
        .flatten();
    let mut bounds = Rect::NOTHING;
    corners.for_each(|corner| bounds.extend_with(corner.pos));
    Some(bounds.intersect(after.clip_rect))
}

/// The corners of each triangle. Two meshes look alike where these are the same, whatever the numbers of their vertices.
fn triangles(mesh: &Mesh) -> Vec<[Vertex; 3]> {
    let vertex = |index: u32| mesh.vertices.get(index as usize).copied();
    let corners = mesh.indices.chunks_exact(3);
    corners
        .filter_map(|three| Some([vertex(three[0])?, vertex(three[1])?, vertex(three[2])?]))
        .collect()
}

/// Parts without those that are within others or nearly so, few of them.
fn merged(parts: impl Iterator<Item = Rect>) -> Vec<Rect> {
    let mut merged: Vec<Rect> = Vec::new();
    for mut part in parts.filter(Rect::is_positive) {
        // One that has grown may reach others.
        while let Some(other) = merged.iter().position(|other| {
            let together = other.union(part).area();
            together <= other.area() + part.area()
        }) {
            part = part.union(merged.swap_remove(other));
        }
        merged.push(part);
    }
    while merged.len() > MOST_PARTS {
        // The two that are drawn together with the fewest pixels between them.
        let pairs = (1..merged.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
        let between = |(a, b): (usize, usize)| {
            let (a, b) = (merged[a], merged[b]);
            a.union(b).area() - a.area() - b.area()
        };
        let Some((a, b)) = pairs.min_by(|one, other| between(*one).total_cmp(&between(*other)))
        else {
            break;
        };
        let part = merged.swap_remove(b);
        merged[a] = merged[a].union(part);
    }
    merged
}

#[cfg(test)]
mod tests {
    use egui::pos2;
    use proptest::prelude::*;

    use super::*;

    const SCREEN: Rect = Rect {
        min: pos2(0.0, 0.0),
        max: pos2(400.0, 300.0),
    };

    fn rect([left, top, right, bottom]: [f32; 4]) -> Rect {
        Rect::from_min_max(pos2(left, top), pos2(right, bottom))
    }

    fn shape(rects: &[([f32; 4], Color32)], texture: u64) -> ClippedPrimitive {
        let mut mesh = Mesh::default();
        for (at, color) in rects {
            mesh.add_colored_rect(rect(*at), *color);
        }
        mesh.texture_id = TextureId::User(texture);
        ClippedPrimitive {
            clip_rect: SCREEN,
            primitive: Primitive::Mesh(mesh),
        }
    }

    #[test]
    fn only_what_looks_different_is_drawn_again() {
        let (red, blue) = (Color32::RED, Color32::BLUE);
        let many = [
            ([10.0, 10.0, 20.0, 20.0], red),
            ([300.0, 200.0, 310.0, 210.0], red),
        ];
        let mut damage = Damage::default();
        let of = |damage: &mut Damage, shapes| damage.of(shapes, SCREEN, 1.0);
        assert_eq!(of(&mut damage, vec![shape(&many, 1)]), [SCREEN]);
        assert!(of(&mut damage, vec![shape(&many, 1)]).is_empty());
        // Another color of the second rectangle alone.
        let other = [many[0], (many[1].0, blue)];
        let second = rect([299.0, 199.0, 311.0, 211.0]);
        assert_eq!(of(&mut damage, vec![shape(&other, 1)]), [second]);
        // One more in front of all moves the numbers of the vertices, and nothing else.
        let more = [([50.0, 50.0, 60.0, 60.0], red), other[0], other[1]];
        let first = rect([49.0, 49.0, 61.0, 61.0]);
        assert_eq!(of(&mut damage, vec![shape(&more, 1)]), [first]);
        // A shape that comes or goes is drawn where it is or was.
        let tip = shape(&[([100.0, 100.0, 120.0, 110.0], blue)], 2);
        let tip_rect = rect([99.0, 99.0, 121.0, 111.0]);
        assert_eq!(of(&mut damage, vec![shape(&more, 1), tip]), [tip_rect]);
        assert_eq!(of(&mut damage, vec![shape(&more, 1)]), [tip_rect]);
        // A texture with other content.
        damage.renew(TextureId::User(1));
        damage.renew(TextureId::User(7));
        let all = rect([9.0, 9.0, 311.0, 211.0]);
        assert_eq!(of(&mut damage, vec![shape(&more, 1)]), [all]);
        damage.all();
        assert_eq!(of(&mut damage, vec![shape(&more, 1)]), [SCREEN]);
    }

    /// A frame as a list of pixels: the color of the last shape over each.
    fn pixels(into: &mut [Color32], shapes: &[ClippedPrimitive], side: usize) {
        for shape in shapes {
            let Primitive::Mesh(mesh) = &shape.primitive else {
                continue;
            };
            // Meshes of rectangles have four vertices each.
            for corners in mesh.vertices.chunks_exact(4) {
                let rect = Rect::from_two_pos(corners[0].pos, corners[3].pos);
                for (at, pixel) in into.iter_mut().enumerate() {
                    let center = pos2((at % side) as f32 + 0.5, (at / side) as f32 + 0.5);
                    if rect.contains(center) && shape.clip_rect.contains(center) {
                        *pixel = corners[0].color;
                    }
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        /// What is kept, with the parts drawn over it, is the frame drawn as a whole.
        #[test]
        fn parts_over_the_frame_before_are_the_whole_frame(
            frames in proptest::collection::vec(
                proptest::collection::vec((0u8..24, 0u8..24, 1u8..9, 1u8..9, 0u8..3, 0u64..3), 0..8),
                2..6,
            ),
        ) {
            let side = 32;
            let screen = rect([0.0, 0.0, side as f32, side as f32]);
            let mut damage = Damage::default();
            let mut kept = vec![Color32::BLACK; side * side];
            for frame in frames {
                let colors = [Color32::RED, Color32::GREEN, Color32::BLUE];
                let shapes: Vec<ClippedPrimitive> = frame
                    .iter()
                    .map(|&(x, y, width, height, color, texture)| {
                        let [x, y, width, height] = [x, y, width, height].map(f32::from);
                        let at = [x, y, x + width, y + height];
                        shape(&[(at, colors[usize::from(color)])], texture)
                    })
                    .collect();
                let mut whole = vec![Color32::BLACK; side * side];
                pixels(&mut whole, &shapes, side);
                let parts = damage.of(shapes, screen, 1.0);
                pixels(&mut kept, &damage.shapes_in(&parts), side);
                prop_assert!(kept == whole);
            }
        }
    }
}
