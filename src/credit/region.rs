//! The part of the input's images that some positions of a convolution look at.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::nn::{Graph, NodeId, Role};

/// Rows and columns.
type Region = [Range<usize>; 2];

/// The rows and columns of the images that enter the graph on which those of a node depend; `None` where the graph is not
/// one of images.
pub(super) fn region_of_input(graph: &Graph, node: NodeId, region: Region) -> Option<Region> {
    let input = graph.with_role(Role::Input)?;
    let mut regions = BTreeMap::from([(node, region)]);
    while let Some((id, region)) = regions.pop_last() {
        if id == input {
            return Some(region);
        }
        let node = graph.node(id);
        let Some(operation) = &node.operation else {
            continue;
        };
        for (place, &before) in node.inputs.iter().enumerate() {
            if !operation.differentiable(place) {
                continue;
            }
            let shape = &graph.node(before).shape;
            // What is no image depends on whole images.
            let reached = match (node.shape.len(), shape.len()) {
                (3, 3) => operation.reach(&region, shape),
                _ => None,
            };
            let all = match shape[..] {
                [_, height, width] => [0..height, 0..width],
                _ => [0..1, 0..1],
            };
            let reached = reached.unwrap_or(all);
            let known = regions.remove(&before);
            let both = match known {
                Some([rows, columns]) => {
                    [around(&rows, &reached[0]), around(&columns, &reached[1])]
                }
                None => reached,
            };
            regions.insert(before, both);
        }
    }
    None
}

/// The shortest range that holds both.
fn around(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    a.start.min(b.start)..a.end.max(b.end)
}
