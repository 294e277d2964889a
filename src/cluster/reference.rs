//! The clustering on the CPU in float64: what the kernels are compared with.

use crate::random::{Stream, uniform, words};

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

/// The points that are the first `most` centers of a start of k-means++.
pub fn seeds(points: &[Vec<f64>], most: usize, seed: u64, start: u32) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    let mut nearest = vec![f64::INFINITY; points.len()];
    for center in 0..most as u32 {
        let share = uniform(words(seed, Stream::Clusters, center, start)[0]);
        let next = if center == 0 {
            ((share * points.len() as f64) as usize).min(points.len() - 1)
        } else {
            let all: f64 = nearest.iter().sum();
            let mut sum = 0.0;
            let past = nearest.iter().position(|weight| {
                sum += weight;
                *weight > 0.0 && sum > share * all
            });
            let last = nearest.iter().rposition(|weight| *weight > 0.0);
            past.or(last).unwrap_or(0)
        };
        for (nearest, point) in nearest.iter_mut().zip(points) {
            *nearest = nearest.min(squared_distance(point, &points[next]));
        }
        chosen.push(next);
    }
    chosen
}

/// Lloyd's algorithm from these centers: the labels and the sum of squared distances, once nothing changes.
pub fn settle(points: &[Vec<f64>], mut centers: Vec<Vec<f64>>) -> (Vec<u32>, f64) {
    let mut labels: Vec<u32> = Vec::new();
    loop {
        let nearest = |point: &Vec<f64>| {
            let distances = centers.iter().map(|center| squared_distance(point, center));
            let best = distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
            best.map_or(0, |(cluster, _)| cluster as u32)
        };
        let now: Vec<u32> = points.iter().map(nearest).collect();
        if now == labels {
            let own = points.iter().zip(&labels);
            let error =
                own.map(|(point, &label)| squared_distance(point, &centers[label as usize]));
            return (labels.clone(), error.sum());
        }
        labels = now;
        for (cluster, center) in centers.iter_mut().enumerate() {
            let members = || {
                points
                    .iter()
                    .zip(&labels)
                    .filter(|(_, label)| **label == cluster as u32)
            };
            let count = members().count();
            if count > 0 {
                for (k, value) in center.iter_mut().enumerate() {
                    *value = members().map(|(point, _)| point[k]).sum::<f64>() / count as f64;
                }
            }
        }
    }
}

/// The silhouette of every point.
pub fn silhouettes(points: &[Vec<f64>], labels: &[u32]) -> Vec<f64> {
    let most = labels.iter().max().map_or(0, |&label| label + 1);
    let mean_to = |point: usize, cluster: u32| {
        let others = (0..points.len()).filter(|&other| other != point && labels[other] == cluster);
        let distances = others.map(|other| squared_distance(&points[point], &points[other]).sqrt());
        let distances: Vec<f64> = distances.collect();
        (!distances.is_empty()).then(|| distances.iter().sum::<f64>() / distances.len() as f64)
    };
    let silhouette = |point: usize| {
        let own = labels[point];
        let others = (0..most).filter(|&cluster| cluster != own);
        let near = others
            .filter_map(|cluster| mean_to(point, cluster))
            .min_by(f64::total_cmp);
        match (mean_to(point, own), near) {
            (Some(within), Some(near)) if within.max(near) > 0.0 => {
                (near - within) / within.max(near)
            }
            _ => 0.0,
        }
    };
    (0..points.len()).map(silhouette).collect()
}
