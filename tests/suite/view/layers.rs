//! The layer graph as a picture: charts in their nodes, colors of health, and what is dimmed.

use std::collections::{BTreeMap, BTreeSet};

use trainscope::nn::{GraphDescription, LayerDescription};
use trainscope::trace::{ModelDescription, Severity};
use trainscope::view::{LayerGraph, LayerPicture, NodeEnvelope, Picture, Theme};

use super::{painter, pixels};
use crate::support::gpu;

fn graph() -> LayerGraph {
    let layer = |name: &str, inputs: &[&str]| LayerDescription {
        name: name.to_owned(),
        kind: "dense".to_owned(),
        shape: vec![4],
        inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
        parameters: Vec::new(),
        frozen: false,
        state: Vec::new(),
        properties: Vec::new(),
        range: trainscope::nn::ValueRange::default(),
        role: None,
    };
    let model = ModelDescription {
        graphs: vec![GraphDescription {
            layers: vec![
                layer("x", &[]),
                layer("encoder.0", &["x"]),
                layer("encoder.1", &["encoder.0"]),
                layer("mu", &["encoder.1"]),
            ],
            ..GraphDescription::default()
        }],
    };
    LayerGraph::new(&model, &BTreeSet::new()).unwrap()
}

struct Shown<'a> {
    health: &'a [Option<Severity>],
    lit: &'a [usize],
    credit: BTreeMap<usize, f64>,
}

fn drawn(graph: &LayerGraph, theme: &Theme, shown: &Shown<'_>) -> (usize, Vec<[u8; 4]>) {
    let wave = |shift: f32| {
        (0..200)
            .map(|step| (step as f32 * 0.1).sin() + shift)
            .collect()
    };
    let envelope = NodeEnvelope {
        low: wave(-1.0),
        high: wave(1.0),
    };
    let envelopes = [None, Some(envelope.clone()), Some(envelope), None];
    let picture = LayerPicture {
        graph,
        envelopes: &envelopes,
        health: shown.health,
        column: 100,
        chosen: None,
        lit: shown.lit,
        credit: &shown.credit,
        squares: &[],
        square_edges: &[],
    };
    let size = picture.size();
    let target = Picture::new(gpu(), size[0], size[1], theme).unwrap();
    picture.draw(&painter(), &target).unwrap();
    (target.size()[0] as usize, pixels(&target))
}

/// How many pixels of a node have exactly this color.
fn count(graph: &LayerGraph, node: usize, image: &(usize, Vec<[u8; 4]>), color: [u8; 4]) -> usize {
    let rect = graph.layout.nodes[node];
    let (width, pixels) = image;
    // Pictures put nodes at whole pixels.
    let rows = rect.top().round() as usize..rect.bottom().round() as usize;
    let columns = rect.left().round() as usize..rect.right().round() as usize;
    rows.flat_map(|y| columns.clone().map(move |x| (x, y)))
        .filter(|(x, y)| pixels[y * width + x] == color)
        .count()
}

#[test]
fn nodes_have_the_color_of_their_health_and_their_lines() {
    let graph = graph();
    for theme in [Theme::light(), Theme::dark()] {
        let health = [None, Some(Severity::Fatal), None, Some(Severity::Warning)];
        let image = drawn(
            &graph,
            &theme,
            &Shown {
                health: &health,
                lit: &[],
                credit: BTreeMap::new(),
            },
        );
        let of = |node, color| count(&graph, node, &image, color);
        // Two pixels all around a node of 124 by 84.
        assert!(of(1, theme.nonfinite) > 700, "{}", of(1, theme.nonfinite));
        assert_eq!(of(2, theme.nonfinite), 0);
        assert!(of(3, theme.categorical[4]) > 700);
        // A line of each side of the envelope, where one is recorded.
        for node in [1, 2] {
            assert!(of(node, theme.categorical[0]) > 20, "{node}");
            assert!(of(node, theme.categorical[1]) > 20, "{node}");
        }
        assert_eq!(of(0, theme.categorical[1]), 0);
        // While something is lit, the rest dims.
        let dimmed = drawn(
            &graph,
            &theme,
            &Shown {
                health: &health,
                lit: &[2],
                credit: BTreeMap::from([(0, 1.0)]),
            },
        );
        assert_eq!(count(&graph, 1, &dimmed, theme.nonfinite), 0);
        assert!(count(&graph, 2, &dimmed, theme.categorical[1]) > 20);
    }
}
