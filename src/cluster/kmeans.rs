//! K-means of the same points for every count of clusters and several starts at once, on the GPU.
//!
//! The first centers of a start are those of k-means++ (Arthur and Vassilvitskii 2007): the first two are the start of two
//! clusters, the first three that of three. So one sequence of centers serves all counts.

use crate::gpu::{Binding, Buffer, Dispatch, Gpu, Shader, groups};
use crate::random::{Stream, key};
use crate::{Error, Result, gpu_struct, shader};

static KMEANS: Shader = shader!("cluster/kmeans.wgsl");
static DISTANCES: Shader = shader!("cluster/distances.wgsl");
static SILHOUETTE: Shader = shader!("cluster/silhouette.wgsl");

/// The largest count of clusters, as in the shader of silhouettes.
pub const MAX_COUNT: usize = 64;
/// Starts for each count; the one with the smallest error counts.
const STARTS: usize = 4;
/// Rounds between two looks at whether labels still change, and rounds at most.
const ROUNDS_AT_ONCE: usize = 8;
const MAX_ROUNDS: usize = 96;

gpu_struct! {
    struct KmeansUniforms in KMEANS::Uniforms {
        seed: [u32; 2],
        points: u32,
        quads: u32,
        most: u32,
        starts: u32,
        center: u32,
        stream: u32,
    }
}

gpu_struct! {
    struct DistancesUniforms in DISTANCES::Uniforms {
        points: u32,
        features: u32,
        quads: u32,
    }
}

gpu_struct! {
    struct SilhouetteUniforms in SILHOUETTE::Uniforms {
        points: u32,
        starts: u32,
    }
}

/// A division of points into clusters.
#[derive(Debug, Clone, PartialEq)]
pub struct Partition {
    /// For each point the number of its cluster.
    pub labels: Vec<u32>,
    /// The sum of squared distances to the centers.
    pub error: f64,
    /// The mean silhouette of the points.
    pub silhouette: f64,
}

/// Points on the GPU.
#[derive(Debug)]
pub struct Points<'a> {
    gpu: &'a Gpu,
    /// `[points, quads]` of four features each, padded with zeros.
    values: Buffer<[f32; 4]>,
    points: usize,
    features: usize,
    quads: usize,
}

impl<'a> Points<'a> {
    /// Uploads `values` `[points, features]`.
    ///
    /// # Errors
    /// No points or features, or more than the adapter has room for.
    pub fn new(gpu: &'a Gpu, values: &[f32], features: usize) -> Result<Self> {
        if features == 0 || values.is_empty() || !values.len().is_multiple_of(features) {
            return Err(Error::input(
                "cluster",
                format!(
                    "{} values are not points of {features} features",
                    values.len()
                ),
                "give at least one point of one feature",
            ));
        }
        let quad = |part: &[f32]| std::array::from_fn(|k| part.get(k).copied().unwrap_or(0.0));
        let rows = values.chunks_exact(features);
        let padded: Vec<[f32; 4]> = rows.flat_map(|row| row.chunks(4).map(quad)).collect();
        Ok(Self {
            gpu,
            values: gpu.upload("points", &padded)?,
            points: values.len() / features,
            features,
            quads: features.div_ceil(4),
        })
    }

    /// The distances of all pairs, `[points, points]`: the root of the mean squared difference of features.
    ///
    /// # Errors
    /// No room for them.
    pub fn distances(&self) -> Result<Buffer<f32>> {
        let distances = self.gpu.buffer("distances", self.points * self.points)?;
        let uniform = self.gpu.uniform(
            "distances",
            &DistancesUniforms {
                points: self.points as u32,
                features: self.features as u32,
                quads: self.quads as u32,
            },
        );
        let kernel = self.gpu.kernel(&DISTANCES, "main", &[]);
        let bindings = [
            (0, uniform.binding()),
            (1, self.values.binding()),
            (2, distances.binding()),
        ];
        let workgroups = [groups(self.points, 64), self.points as u32, 1];
        let dispatch = kernel.bind(self.gpu, &bindings, workgroups);
        self.gpu.run("distances", [&dispatch]);
        Ok(distances)
    }

    /// The best partition into 1, 2, ... `most` clusters each, at most [`MAX_COUNT`]; `distances` are those of the points.
    ///
    /// # Errors
    /// The adapter has no room for the centers.
    pub fn partitions(
        &self,
        distances: &Buffer<f32>,
        most: usize,
        seed: u64,
    ) -> Result<Vec<Partition>> {
        let most = most.min(self.points).min(MAX_COUNT);
        let run = Instances::new(self, most, seed)?;
        run.choose_seeds();
        run.settle()?;
        let silhouettes = self.silhouettes(distances, &run.labels, most)?;
        let labels = self.gpu.read(&run.labels)?;
        let errors = self.gpu.read(&run.errors)?;
        let sum = |values: &[f32]| values.iter().copied().map(f64::from).sum::<f64>();
        let instances: Vec<Partition> = labels
            .chunks_exact(self.points)
            .zip(errors.chunks_exact(self.points))
            .zip(silhouettes.chunks_exact(self.points))
            .map(|((labels, errors), silhouettes)| Partition {
                labels: labels.to_vec(),
                error: sum(errors),
                silhouette: sum(silhouettes) / self.points as f64,
            })
            .collect();
        let best = instances.chunks_exact(STARTS).map(|starts| {
            let least = starts.iter().min_by(|a, b| a.error.total_cmp(&b.error));
            least.expect("there are starts").clone()
        });
        Ok(best.collect())
    }

    /// The silhouette of every point in every instance.
    fn silhouettes(
        &self,
        distances: &Buffer<f32>,
        labels: &Buffer<u32>,
        most: usize,
    ) -> Result<Vec<f32>> {
        let silhouettes = self.gpu.buffer("silhouettes", labels.len())?;
        let uniform = self.gpu.uniform(
            "silhouettes",
            &SilhouetteUniforms {
                points: self.points as u32,
                starts: STARTS as u32,
            },
        );
        let bindings = [
            (0, uniform.binding()),
            (1, distances.binding()),
            (2, labels.binding()),
            (3, silhouettes.binding()),
        ];
        let kernel = self.gpu.kernel(&SILHOUETTE, "main", &[]);
        let workgroups = [groups(self.points, 64), (most * STARTS) as u32, 1];
        let dispatch = kernel.bind(self.gpu, &bindings, workgroups);
        self.gpu.run("silhouettes", [&dispatch]);
        self.gpu.read(&silhouettes)
    }
}

/// All counts with all starts.
struct Instances<'a> {
    points: &'a Points<'a>,
    most: usize,
    seed: u64,
    seeds: Buffer<u32>,
    nearest: Buffer<f32>,
    centers: Buffer<[f32; 4]>,
    labels: Buffer<u32>,
    errors: Buffer<f32>,
    changes: Buffer<u32>,
}

impl<'a> Instances<'a> {
    fn new(points: &'a Points<'a>, most: usize, seed: u64) -> Result<Self> {
        let gpu = points.gpu;
        let instances = most * STARTS;
        let of_points = instances * points.points;
        Ok(Self {
            points,
            most,
            seed,
            seeds: gpu.buffer("seeds", STARTS * most)?,
            nearest: gpu.buffer("nearest seeds", STARTS * points.points)?,
            centers: gpu.buffer("centers", instances * most * points.quads)?,
            labels: gpu.buffer("labels", of_points)?,
            errors: gpu.buffer("errors", of_points)?,
            changes: gpu.buffer("changes", of_points)?,
        })
    }

    fn dispatch(&self, entry: &'static str, center: usize, workgroups: [u32; 3]) -> Dispatch {
        let Points {
            gpu, points, quads, ..
        } = self.points;
        let uniform = gpu.uniform(
            "k-means",
            &KmeansUniforms {
                seed: key(self.seed),
                points: *points as u32,
                quads: *quads as u32,
                most: self.most as u32,
                starts: STARTS as u32,
                center: center as u32,
                stream: Stream::Clusters as u32,
            },
        );
        let buffers: [(u32, Binding<'_>); 8] = [
            (0, uniform.binding()),
            (1, self.points.values.binding()),
            (2, self.seeds.binding()),
            (3, self.nearest.binding()),
            (4, self.centers.binding()),
            (5, self.labels.binding()),
            (6, self.errors.binding()),
            (7, self.changes.binding()),
        ];
        let used: &[u32] = match entry {
            "choose" => &[0, 2, 3],
            "approach" => &[0, 1, 2, 3],
            "begin" => &[0, 1, 2, 4],
            "assign" => &[0, 1, 4, 5, 6, 7],
            _ => &[0, 1, 4, 5],
        };
        let bindings: Vec<_> = buffers
            .into_iter()
            .filter(|(index, _)| used.contains(index))
            .collect();
        gpu.kernel(&KMEANS, entry, &[])
            .bind(gpu, &bindings, workgroups)
    }

    /// Chooses the first centers of all starts, and puts the centers of all instances there.
    fn choose_seeds(&self) {
        let points = groups(self.points.points, 64);
        let starts = STARTS as u32;
        let mut dispatches = Vec::new();
        for center in 0..self.most {
            dispatches.push(self.dispatch("choose", center, [starts, 1, 1]));
            dispatches.push(self.dispatch("approach", center, [points, starts, 1]));
        }
        dispatches.push(self.dispatch("begin", 0, self.over_centers()));
        self.points.gpu.run("first centers", &dispatches);
    }

    fn over_centers(&self) -> [u32; 3] {
        let quads = groups(self.points.quads, 64);
        [quads, self.most as u32, (self.most * STARTS) as u32]
    }

    /// Moves points and centers until nothing changes.
    fn settle(&self) -> Result<()> {
        let points = groups(self.points.points, 64);
        let instances = (self.most * STARTS) as u32;
        let assign = self.dispatch("assign", 0, [points, instances, 1]);
        let recenter = self.dispatch("recenter", 0, self.over_centers());
        let gpu = self.points.gpu;
        gpu.run("first labels", [&assign]);
        for _ in 0..MAX_ROUNDS / ROUNDS_AT_ONCE {
            let rounds = std::iter::repeat_n([&recenter, &assign], ROUNDS_AT_ONCE);
            gpu.run("rounds", rounds.flatten());
            if gpu.read(&self.changes)?.iter().all(|&change| change == 0) {
                break;
            }
        }
        Ok(())
    }
}
