//! Clusters of units against the float64 reference and scikit-learn, what is singled out, and the command.

use std::time::Instant;

use proptest::prelude::*;
use trainscope::cluster::{
    ClusterOptions, Clustering, Criterion, Points, UnitFeatures, cluster, reference,
};

use crate::nn::fixture::Fixture;
use crate::sample::series::noise;
use crate::support::gpu;

fn features(values: Vec<f32>, len: usize) -> UnitFeatures {
    UnitFeatures {
        units: values.len() / len,
        len,
        positions: 1,
        values,
        of: "samples",
    }
}

/// Points around `centers`, in turn.
fn groups(centers: &[f32], each: usize, len: usize, seed: u32) -> Vec<f32> {
    let jitter = noise(centers.len() * each * len, seed);
    let center = |i: usize| centers[(i / len) % centers.len()];
    jitter
        .iter()
        .enumerate()
        .map(|(i, noise)| center(i) * (1.0 + (i % len) as f32 / len as f32) + 0.3 * noise)
        .collect()
}

fn exact(values: &[f32], len: usize) -> Vec<Vec<f64>> {
    let rows = values.chunks_exact(len);
    rows.map(|row| row.iter().copied().map(f64::from).collect())
        .collect()
}

fn of(values: Vec<f32>, len: usize, count: Option<usize>) -> Clustering {
    let options = ClusterOptions { count, seed: 0 };
    cluster(gpu(), &features(values, len), &options).unwrap()
}

#[test]
fn reference_equals_scikit_learn() {
    let fixture = Fixture::open("cluster");
    let points = exact(&fixture.narrow("points"), 5);
    for count in 2..=6 {
        let centers = points[..count].to_vec();
        let (labels, error) = reference::settle(&points, centers);
        let wanted = fixture.get(&format!("labels.{count}"));
        assert!(
            labels
                .iter()
                .map(|&label| f64::from(label))
                .eq(wanted.iter().copied())
        );
        let wanted = fixture.get(&format!("error.{count}"))[0];
        assert!(
            (error / wanted - 1.0).abs() < 1e-9,
            "{count}: {error} {wanted}"
        );
        let wanted = fixture.get(&format!("silhouettes.{count}"));
        let silhouettes = reference::silhouettes(&points, &labels);
        for (found, wanted) in silhouettes.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-9, "{count}: {found} {wanted}");
        }
    }
}

/// The best of the four starts in float64.
fn best_in_float64(points: &[Vec<f64>], count: usize, seed: u64) -> (Vec<u32>, f64) {
    let start = |start| {
        let seeds = reference::seeds(points, count, seed, start);
        reference::settle(
            points,
            seeds.iter().map(|&seed| points[seed].clone()).collect(),
        )
    };
    let starts = (0..4).map(start);
    starts.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
}

#[test]
fn partitions_equal_their_reference() {
    for (values, len, seed) in [
        (groups(&[0.0, 3.0, -4.0, 9.0], 25, 6, 1), 6, 0),
        (groups(&[0.0, 5.0], 40, 1, 2), 1, 3),
        (noise(130 * 7, 3), 7, 1 << 40),
        (vec![1.5; 9 * 4], 4, 0),
        (vec![2.0], 1, 0),
    ] {
        let points = Points::new(gpu(), &values, len).unwrap();
        let distances = points.distances().unwrap();
        let found = points.partitions(&distances, 7, seed).unwrap();
        let exact = exact(&values, len);
        assert_eq!(found.len(), exact.len().min(7));
        let far = gpu().read(&distances).unwrap();
        for (i, a) in exact.iter().enumerate() {
            for (j, b) in exact.iter().enumerate() {
                let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
                let distance = (squares.sum::<f64>() / len as f64).sqrt();
                assert!((f64::from(far[i * exact.len() + j]) - distance).abs() < 1e-5);
            }
        }
        for (count, partition) in (1..).zip(&found) {
            let (labels, error) = best_in_float64(&exact, count, seed);
            assert_eq!(
                partition.labels,
                labels,
                "{count} of {} points",
                exact.len()
            );
            let tolerance = 1e-4 * error + 1e-6;
            assert!(
                (partition.error - error).abs() < tolerance,
                "{count}: {error}"
            );
            let silhouettes = reference::silhouettes(&exact, &labels);
            let mean = silhouettes.iter().sum::<f64>() / silhouettes.len() as f64;
            assert!(
                (partition.silhouette - mean).abs() < 1e-4,
                "{count}: {mean}"
            );
        }
    }
}

#[test]
fn count_is_that_of_the_groups() {
    for count in 2..=6usize {
        let centers: Vec<f32> = (0..count).map(|i| (i * i) as f32 * 2.0 - 7.0).collect();
        let found = of(groups(&centers, 20, 8, 4), 8, None);
        assert_eq!(
            (found.clusters.len(), found.criterion),
            (count, Criterion::Silhouette)
        );
        for cluster in &found.clusters {
            let group = cluster.units[0] % count;
            assert!(cluster.units.iter().all(|unit| unit % count == group));
            assert!((cluster.spread - 0.3).abs() < 0.06, "{}", cluster.spread);
            let mean = f64::from(centers[group]);
            assert!(
                (cluster.mean[0] - mean).abs() < 0.3,
                "{:?} {mean}",
                cluster.mean
            );
        }
    }
    let found = of(noise(100 * 20, 5), 20, None);
    assert_eq!(
        (found.clusters.len(), found.criterion),
        (1, Criterion::NoStructure)
    );
    assert_eq!(found.clusters[0].units.len(), 100);
    let given = of(noise(100 * 20, 5), 20, Some(5));
    assert_eq!(
        (given.clusters.len(), given.criterion),
        (5, Criterion::Given)
    );
    assert!(
        given
            .summary()
            .contains("100 units in 5 clusters; as asked."),
        "{}",
        given.summary()
    );
    // Alike, alone, and of extreme sizes.
    assert_eq!(of(vec![0.5; 50 * 4], 4, None).clusters.len(), 1);
    assert_eq!(of(vec![0.5; 4], 4, None).clusters.len(), 1);
    for unit in [1e-38, 1e30f32] {
        let values = groups(&[0.0, 5.0, -6.0], 20, 8, 4)
            .iter()
            .map(|v| v * unit)
            .collect();
        assert_eq!(of(values, 8, None).clusters.len(), 3, "{unit}");
    }
}

#[test]
fn nonfinite_and_far_units_are_singled_out() {
    let mut values = groups(&[0.0, 5.0, -6.0], 20, 8, 4);
    values[3 * 8 + 1] = f32::NAN;
    values[3 * 8 + 2] = f32::INFINITY;
    values[7 * 8..8 * 8].fill(900.0);
    let found = of(values, 8, None);
    let out: Vec<usize> = found.singled_out.iter().map(|single| single.unit).collect();
    assert_eq!(
        (out, found.clusters.len(), found.units),
        (vec![3, 7], 3, 60)
    );
    assert_eq!(
        found.singled_out[0].why,
        "it has values that are not finite in 2 of 8 samples"
    );
    assert!(found.singled_out[1].why.contains("nearest other unit"));
    let all: usize = found
        .clusters
        .iter()
        .map(|cluster| cluster.units.len())
        .sum();
    assert_eq!(all, 58);
    let broken = of(vec![f32::NAN; 12 * 8], 8, None);
    assert_eq!((broken.clusters.len(), broken.singled_out.len()), (0, 12));
    let refused = ClusterOptions {
        count: Some(13),
        seed: 0,
    };
    let error = cluster(gpu(), &features(vec![0.0; 12 * 8], 8), &refused).unwrap_err();
    assert!(error.to_string().contains("ask for 1 to 12"), "{error}");
    assert!(cluster(gpu(), &features(Vec::new(), 8), &ClusterOptions::default()).is_err());
}

#[test]
fn numbers_stay_from_snapshot_to_snapshot() {
    let before = of(groups(&[0.0, 5.0, -6.0], 20, 8, 4), 8, None);
    // The groups swap their places; two units of the first go to the second, and one group splits.
    let mut values = groups(&[5.0, -6.0, 0.0], 20, 8, 9);
    values.copy_within(8..16, 0);
    for unit in (2..30).step_by(3) {
        values[unit * 8..][..8]
            .iter_mut()
            .for_each(|value| *value += 30.0);
    }
    let mut after = of(values, 8, None);
    assert_eq!(after.clusters.len(), 4);
    after.match_to(&before);
    let number = |clustering: &Clustering, unit: usize| {
        let mut clusters = clustering.clusters.iter();
        clusters
            .find(|cluster| cluster.units.contains(&unit))
            .unwrap()
            .id
    };
    for unit in [3, 4, 7] {
        assert_eq!(number(&after, unit), number(&before, unit), "{unit}");
    }
    let mut numbers: Vec<usize> = after.clusters.iter().map(|cluster| cluster.id).collect();
    numbers.dedup();
    assert_eq!(numbers, [0, 1, 2, 3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Every unit is in one cluster or singled out, and the same seed gives the same clusters.
    #[test]
    fn clusters_divide_the_units(units in 1usize..40, len in 1usize..9, seed in any::<u32>()) {
        let values: Vec<f32> = noise(units * len, seed).iter().map(|v| (v * 3.0).round()).collect();
        let found = of(values.clone(), len, None);
        prop_assert_eq!(&found, &of(values, len, None));
        let clustered = found.clusters.iter().flat_map(|cluster| &cluster.units).copied();
        let mut all: Vec<usize> = clustered.chain(found.singled_out.iter().map(|s| s.unit)).collect();
        all.sort_unstable();
        prop_assert!(all.into_iter().eq(0..units));
    }
}

/// Rate of what is asked for most: a layer of 400 units on 64 samples, the count to be found.
#[test]
fn four_hundred_units() {
    let values = features(groups(&[0.0, 2.0, -3.0, 6.0], 100, 64, 6), 64);
    let options = ClusterOptions::default();
    let first = cluster(gpu(), &values, &options).unwrap();
    let started = Instant::now();
    assert_eq!(cluster(gpu(), &values, &options).unwrap(), first);
    println!(
        "400 units x 64 samples: {:.3} s",
        started.elapsed().as_secs_f64()
    );
    assert_eq!(first.clusters.len(), 4);
}

#[cfg(feature = "cli")]
#[test]
fn command_gives_clusters_of_dense_units_and_feature_maps() {
    use serde_json::Value;

    let folder = tempfile::tempdir().unwrap();
    // What is found is kept with the run.
    let earlier = |name: &str| crate::run_view::copy_of(name, folder.path());
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_trainscope"))
            .arg("cluster")
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let object: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), object, said)
    };
    let vae = earlier("vae");
    let vae = vae.to_str().unwrap();
    for (layer, units) in [("encoder.0", 4), ("encoder.4", 12), ("mu", 3)] {
        let (code, object, said) = run(&[vae, "--layer", layer, "--plot", "c.png", "--json"]);
        assert_eq!(code, Some(0), "{said}");
        let clusters = object["clusters"].as_array().unwrap();
        assert_eq!(
            (&object["layer"], &object["step"]),
            (&Value::from(layer), &Value::from(24))
        );
        assert_eq!(object["count"], clusters.len());
        let sizes = clusters
            .iter()
            .map(|cluster| cluster["size"].as_u64().unwrap());
        let out = object["singled_out"].as_array().unwrap().len() as u64;
        assert_eq!(sizes.sum::<u64>() + out, units, "{object}");
        assert_eq!(clusters[0]["mean"].as_array().unwrap().len(), 64);
        assert!(clusters[0]["spread"].is_number() && object["criterion"].is_string());
        assert!(folder.path().join("c.png").exists());
    }
    let arguments = [
        "--layer",
        "encoder.4",
        "--step",
        "0,13,24",
        "--count",
        "3",
        "--json",
    ];
    let (code, object, said) = run(&[&[vae], &arguments[..]].concat());
    assert_eq!(code, Some(0), "{said}");
    let steps = object["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["step"]);
    assert!(steps.eq([0, 13, 24].map(Value::from).iter()));
    let (code, object, said) = run(&[vae, "--layer", "encoder.4", "--series", "--json"]);
    assert_eq!((code, &object["step"]), (Some(0), &Value::Null), "{said}");
    // What the clusters of the units that enter a layer did to one of its units, first those that did most.
    let explain = [
        "--layer",
        "encoder.5",
        "--explain",
        "mu:1",
        "--from",
        "12",
        "--to",
        "20",
        "--json",
    ];
    let (code, object, said) = run(&[&[vae], &explain[..]].concat());
    assert_eq!(code, Some(0), "{said}");
    let of_clusters = object["clusters"].as_array().unwrap().iter();
    let of_clusters: Vec<f64> = of_clusters.map(|c| c["credit"].as_f64().unwrap()).collect();
    assert!(
        of_clusters.is_sorted_by(|a, b| a.abs() >= b.abs()),
        "{of_clusters:?}"
    );
    let credit = [
        "--layer", "mu", "--unit", "1", "--from", "12", "--to", "20", "--json",
    ];
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_trainscope"))
        .args([&["credit", vae], &credit[..]].concat())
        .output()
        .unwrap();
    let whole: Value = serde_json::from_slice(&output.stdout).unwrap();
    let parts = whole["predecessors"].as_array().unwrap().iter();
    let sum: f64 = parts.map(|part| part["credit"].as_f64().unwrap()).sum();
    let out = object["explains"]["singled_out"].as_f64().unwrap();
    let found = of_clusters.iter().sum::<f64>() + out;
    assert!((found - sum).abs() < 1e-9, "{found} {sum}");
    let gan = earlier("gan");
    for layer in ["generator.0", "discriminator.0"] {
        let (code, _, said) = run(&[gan.to_str().unwrap(), "--layer", layer, "--json"]);
        assert_eq!(code, Some(0), "{layer}: {said}");
    }
    for (arguments, part) in [
        (
            ["--layer", "none", "--step", "24"],
            "choose one of: encoder.0",
        ),
        (
            ["--layer", "mu", "--step", "25"],
            "use --step with a number up to 24",
        ),
    ] {
        let (code, _, said) = run(&[&[vae], &arguments[..]].concat());
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(part), "{said}");
    }
    let far = [
        "--layer",
        "encoder.0",
        "--explain",
        "mu:1",
        "--from",
        "12",
        "--to",
        "20",
    ];
    let (code, _, said) = run(&[&[vae], &far[..]].concat());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("choose one of: encoder.5"), "{said}");
}
