//! Where the nodes of a data-flow graph are: from left to right, with groups around some of them.
//!
//! The layout is that of dagre, which Graphviz's dot inspired. It depends on nothing but the graph, so that the same graph
//! always looks the same, and needs no GPU.

use std::panic::catch_unwind;

use dagre::graph::{Graph, GraphOptions};
use dagre::{EdgeLabel, LayoutOptions, NodeLabel, RankDir};
use glam::{Vec2, vec2};

use super::geometry::Rect;
use crate::{Error, Result};

/// Space between columns and between rows of nodes, and around the whole, in points.
const BETWEEN_COLUMNS: f64 = 26.0;
const BETWEEN_ROWS: f64 = 14.0;
const MARGIN: f64 = 12.0;
/// Space that a group has for its name above its nodes, in points.
const GROUP_NAME: f32 = 18.0;

/// A node to be laid out.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphNode {
    /// Its size in points.
    pub size: Vec2,
    /// The number of the group that it belongs to.
    pub group: Option<usize>,
}

/// Where everything of a graph is, in points.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GraphLayout {
    /// The nodes, in their order.
    pub nodes: Vec<Rect>,
    /// The groups, by their numbers, with room for a name at the top; empty ones have no extent.
    pub groups: Vec<Rect>,
    /// The points that each edge goes by, in the order of the edges.
    pub edges: Vec<Vec<Vec2>>,
    /// The extent of everything.
    pub size: Vec2,
}

impl GraphLayout {
    /// Lays out `nodes` in `groups` groups, connected by `edges` from one node to another.
    ///
    /// # Errors
    /// An edge or a group that does not exist, or a graph that the layout fails on.
    pub fn new(nodes: &[GraphNode], groups: usize, edges: &[(usize, usize)]) -> Result<Self> {
        let is_wrong = edges.iter().any(|(from, to)| *from.max(to) >= nodes.len())
            || nodes
                .iter()
                .any(|node| node.group.is_some_and(|group| group >= groups));
        // Nodes of a user's own model may be connected in ways that nobody has tried.
        let laid_out = (!is_wrong)
            .then(|| {
                catch_unwind(|| laid_out(nodes, groups, edges))
                    .ok()
                    .flatten()
            })
            .flatten();
        laid_out.ok_or_else(|| {
            Error::input(
                format!("graph of {} nodes and {} edges", nodes.len(), edges.len()),
                "it cannot be laid out",
                "report its graph.json as a bug",
            )
        })
    }
}

fn node_name(index: usize) -> String {
    format!("n{index}")
}

fn group_name(index: usize) -> String {
    format!("g{index}")
}

fn laid_out(nodes: &[GraphNode], groups: usize, edges: &[(usize, usize)]) -> Option<GraphLayout> {
    let mut graph: Graph<NodeLabel, EdgeLabel> = Graph::with_options(GraphOptions {
        directed: true,
        multigraph: true,
        compound: true,
    });
    let is_used = |group: usize| nodes.iter().any(|node| node.group == Some(group));
    for group in (0..groups).filter(|group| is_used(*group)) {
        graph.set_node(group_name(group), Some(NodeLabel::default()));
    }
    for (index, node) in nodes.iter().enumerate() {
        let label = NodeLabel {
            width: f64::from(node.size.x),
            height: f64::from(node.size.y),
            ..NodeLabel::default()
        };
        graph.set_node(node_name(index), Some(label));
        if let Some(group) = node.group {
            graph.set_parent(&node_name(index), Some(&group_name(group)));
        }
    }
    for (index, (from, to)) in edges.iter().enumerate() {
        let label = Some(EdgeLabel::default());
        graph.set_edge(
            node_name(*from),
            node_name(*to),
            label,
            Some(&index.to_string()),
        );
    }
    let options = LayoutOptions {
        rankdir: RankDir::LR,
        nodesep: BETWEEN_ROWS,
        edgesep: BETWEEN_ROWS / 2.0,
        ranksep: BETWEEN_COLUMNS,
        marginx: MARGIN,
        marginy: MARGIN,
        ..LayoutOptions::default()
    };
    dagre::layout(&mut graph, Some(options));
    // A name above a group must not leave the picture.
    let shift = vec2(0.0, if groups > 0 { GROUP_NAME } else { 0.0 });
    let rect = |name: &str| {
        let node = graph.node(name)?;
        let size = vec2(node.width as f32, node.height as f32);
        let center = vec2(node.x? as f32, node.y? as f32);
        Some(Rect {
            min: center - size / 2.0 + shift,
            size,
        })
    };
    let node_rects: Option<Vec<Rect>> = (0..nodes.len())
        .map(|index| rect(&node_name(index)))
        .collect();
    let group_rects: Vec<Rect> = (0..groups)
        .map(|group| match rect(&group_name(group)) {
            Some(rect) => Rect {
                min: rect.min - vec2(0.0, GROUP_NAME),
                size: rect.size + vec2(0.0, GROUP_NAME),
            },
            None => Rect::default(),
        })
        .collect();
    let points = |index: usize, (from, to): (usize, usize)| {
        let name = index.to_string();
        let edge = graph.edge(&node_name(from), &node_name(to), Some(&name))?;
        let points = edge.points.iter();
        Some(
            points
                .map(|point| vec2(point.x as f32, point.y as f32) + shift)
                .collect(),
        )
    };
    let edge_points: Option<Vec<Vec<Vec2>>> = edges
        .iter()
        .enumerate()
        .map(|(index, edge)| points(index, *edge))
        .collect();
    let (nodes, edges) = (node_rects?, edge_points?);
    let corners = nodes
        .iter()
        .chain(&group_rects)
        .map(|rect| rect.min + rect.size)
        .chain(edges.iter().flatten().copied());
    let size = corners.fold(Vec2::ZERO, Vec2::max) + Vec2::splat(MARGIN as f32);
    let is_finite = |rect: &Rect| rect.min.is_finite() && rect.size.is_finite();
    let is_whole = nodes.iter().chain(&group_rects).all(is_finite) && size.is_finite();
    is_whole.then_some(GraphLayout {
        nodes,
        groups: group_rects,
        edges,
        size,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(group: Option<usize>) -> GraphNode {
        GraphNode {
            size: vec2(120.0, 60.0),
            group,
        }
    }

    #[test]
    fn data_flows_from_left_to_right_inside_its_group() {
        let nodes = [node(None), node(Some(0)), node(Some(0)), node(None)];
        let layout = GraphLayout::new(&nodes, 1, &[(0, 1), (1, 2), (2, 3)]).unwrap();
        let pairs = layout.nodes.windows(2);
        pairs.for_each(|pair| assert!(pair[0].right() < pair[1].left(), "{pair:?}"));
        let group = layout.groups[0];
        for (node, rect) in nodes.iter().zip(&layout.nodes) {
            assert_eq!(group.overlaps(*rect), node.group.is_some());
        }
        assert!(layout.groups[0].top() >= 0.0);
    }

    #[test]
    fn what_does_not_exist_is_an_error() {
        let error = GraphLayout::new(&[node(Some(3))], 1, &[]).unwrap_err();
        assert!(error.to_string().contains("cannot be laid out"));
        assert!(GraphLayout::new(&[node(None)], 0, &[(0, 1)]).is_err());
        assert_eq!(GraphLayout::new(&[], 0, &[]).unwrap().nodes, []);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn nodes_of_any_graph_are_apart(
            count in 1usize..40,
            groups in 0usize..4,
            links in proptest::collection::vec((0usize..1000, 0usize..1000), 0..60),
            members in proptest::collection::vec(0usize..5, 40),
        ) {
            // Groups hold neighbors, as in a network; edges follow the order of computation.
            let nodes: Vec<GraphNode> = (0..count)
                .map(|index| node((members[index * 4 / count] < groups).then(|| members[index * 4 / count])))
                .collect();
            let edges: Vec<(usize, usize)> = links
                .into_iter()
                .map(|(a, b)| (a % count, b % count))
                .filter(|(a, b)| a != b)
                .map(|(a, b)| (a.min(b), a.max(b)))
                .collect();
            let layout = GraphLayout::new(&nodes, groups, &edges).unwrap();
            for (index, a) in layout.nodes.iter().enumerate() {
                prop_assert!(a.min.cmpge(Vec2::ZERO).all());
                prop_assert!((a.min + a.size).cmple(layout.size).all());
                for b in &layout.nodes[index + 1..] {
                    prop_assert!(!a.overlaps(*b), "{a:?} {b:?}");
                }
            }
            for (points, (from, to)) in layout.edges.iter().zip(&edges) {
                prop_assert!(points.len() >= 2);
                let near = |rect: &Rect, point: &Vec2| {
                    point.cmpge(rect.min - 1.0).all() && point.cmple(rect.min + rect.size + 1.0).all()
                };
                prop_assert!(near(&layout.nodes[*from], &points[0]));
                prop_assert!(near(&layout.nodes[*to], &points[points.len() - 1]));
            }
        }
    }
}
