//! Squares of units: their order, what is folded, and where curves begin.

use super::*;
use crate::cluster::{Cluster, Criterion};
use crate::credit::{Contribution, CreditMaps, OtherCredit};
use crate::trace::ModelDescription;

fn squares(alike: &[(&[usize], f32)]) -> LayerSquares {
    let clusters = alike
        .iter()
        .enumerate()
        .map(|(id, (units, value))| Cluster {
            id,
            units: units.to_vec(),
            mean: vec![f64::from(*value)],
            spread: 0.0,
            credit: None,
        });
    let of = |(id, (units, value)): (usize, &(&[usize], f32))| Alike {
        name: format!("cluster {id}"),
        units: units.to_vec(),
        representative: units[0],
        values: vec![*value],
    };
    LayerSquares {
        layer: "a".to_owned(),
        step: 0,
        width: 1,
        pooled: None,
        clustering: Clustering {
            units: 16,
            criterion: Criterion::Given,
            silhouettes: Vec::new(),
            clusters: clusters.collect(),
            singled_out: Vec::new(),
        },
        alike: alike.iter().enumerate().map(of).collect(),
    }
}

fn credit(parts: &[(&str, usize, f64)]) -> Credit {
    let part = |(layer, unit, credit): &(&str, usize, f64)| Contribution {
        layer: (*layer).to_owned(),
        unit: *unit,
        credit: *credit,
    };
    Credit {
        layer: "b".to_owned(),
        unit: 1,
        samples: Vec::new(),
        positions: Vec::new(),
        region: None,
        from: 0,
        to: 1,
        change: 0.0,
        explained: 0.0,
        residual: 0.0,
        cancellation: 1.0,
        predecessors: parts.iter().map(part).collect(),
        successors: Vec::new(),
        other: OtherCredit::default(),
        hops: Vec::new(),
        first_nonfinite: None,
        deviation: None,
        maps: CreditMaps::default(),
    }
}

#[test]
fn those_that_moved_the_unit_most_come_first_and_the_rest_is_folded() {
    let units: Vec<Vec<usize>> = (0..8)
        .map(|cluster| vec![2 * cluster, 2 * cluster + 1])
        .collect();
    let alike: Vec<(&[usize], f32)> = units
        .iter()
        .enumerate()
        .map(|(id, units)| (&units[..], id as f32))
        .collect();
    let squares = squares(&alike);
    let names = |shown: &[Square]| -> Vec<String> {
        shown.iter().map(|square| square.name.clone()).collect()
    };
    let shown = squares.shown(None);
    assert_eq!(names(&shown)[..2], ["cluster 0", "cluster 1"]);
    let rest = &shown[5];
    assert_eq!((rest.name.as_str(), rest.units.len()), ("3 more", 6));
    assert_eq!((rest.values[0], rest.credit), (6.0, None));
    // A credit of another layer changes nothing.
    assert_eq!(squares.shown(Some(&credit(&[("c", 3, 9.0)]))), shown);
    let credit = credit(&[("a", 14, 0.5), ("a", 15, 0.25), ("a", 3, -2.0)]);
    let shown = squares.shown(Some(&credit));
    assert_eq!(names(&shown)[..3], ["cluster 1", "cluster 7", "cluster 0"]);
    assert_eq!((shown[0].credit, shown[1].credit), (Some(-2.0), Some(0.75)));
    assert_eq!(shown[0].describe("a"), "cluster 1 of a, 2 units, credit −2");
    // Nothing is lost: all units are shown once.
    let mut all: Vec<usize> = shown
        .iter()
        .flat_map(|square| square.units.clone())
        .collect();
    all.sort_unstable();
    assert_eq!(all, (0..16).collect::<Vec<_>>());
}

#[test]
fn maps_are_averaged_and_samples_make_a_grid() {
    let features = UnitFeatures {
        units: 2,
        len: 1,
        positions: 32 * 32,
        values: (0..2 * 32 * 32).map(|at| (at % 32) as f32).collect(),
        of: "samples",
    };
    let picture = Picture::of(&features, Some(32));
    assert_eq!((picture.pool, picture.width), (2, 16));
    let row = picture.row(1);
    assert_eq!((row.len(), row[0], row[15]), (256, 0.5, 30.5));
    let features = UnitFeatures {
        units: 3,
        len: 5,
        positions: 1,
        values: (0..15).map(|at| at as f32).collect(),
        of: "samples",
    };
    let picture = Picture::of(&features, None);
    let alike = picture.alike("all".to_owned(), vec![0, 1, 2]);
    assert_eq!((picture.width, alike.representative), (3, 1));
    assert_eq!(alike.values, [5.0, 6.0, 7.0, 8.0, 9.0]);
}

#[test]
fn curves_go_from_the_squares_that_moved_a_unit_to_the_square_that_it_is_in() {
    use crate::nn::{GraphDescription, LayerDescription};
    let layer = |name: &str, inputs: &[&str]| LayerDescription {
        name: name.to_owned(),
        kind: "dense".to_owned(),
        shape: vec![4],
        inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
        parameters: Vec::new(),
        frozen: false,
        state: Vec::new(),
        properties: Vec::new(),
        range: crate::nn::ValueRange::default(),
        role: None,
    };
    let model = ModelDescription {
        graphs: vec![GraphDescription {
            layers: vec![layer("a", &[]), layer("b", &["a"])],
            ..GraphDescription::default()
        }],
    };
    let graph = LayerGraph::new(&model, &BTreeSet::new()).unwrap();
    let from = squares(&[(&[0, 1], 0.0), (&[2, 3], 1.0)]);
    let to = LayerSquares {
        layer: "b".to_owned(),
        ..squares(&[(&[0], 0.0), (&[1], 1.0)])
    };
    let credit = credit(&[("a", 0, 1.0), ("a", 3, -4.0)]);
    let shown = BTreeMap::from([(0, from.shown(Some(&credit))), (1, to.shown(Some(&credit)))]);
    let known = BTreeMap::from([("a".to_owned(), from), ("b".to_owned(), to)]);
    let edges = square_edges(&graph, &credit, &known, &shown);
    let ends: Vec<_> = edges
        .iter()
        .map(|edge| (edge.from.square, edge.to.node, edge.to.square, edge.credit))
        .collect();
    // Unit 3 is in the square that comes first.
    assert_eq!(
        ends,
        [(Some(1), 1, Some(1), 0.25), (Some(0), 1, Some(1), -1.0)]
    );
}
