//! Self-joins: for each window of a series the nearest other one, and how far it is (the matrix profile).
//!
//! The GPU finds which window is the nearest, by correlations in float32; the distance to it is computed in float64. So a
//! distance is exact, and only among windows whose correlations differ by less than [`TOLERANCE`] another one than the very
//! nearest may be found. Correlations follow along diagonals, from a direct product after every few columns: after as many as
//! the norms of the series' windows allow, since a spike that leaves a window would leave its rounding errors behind.

use super::products::{WindowsOnGpu, bytes_of_series};
use super::windows::{WindowClass, Windows};
use crate::gpu::{Binding, Gpu, Shader, groups};
use crate::{Error, Result, gpu_struct, shader};

static PROFILE: Shader = shader!("patterns/profile.wgsl");

gpu_struct! {
    struct ProfileUniforms in PROFILE::Uniforms {
        window_quads: u32,
        lanes: u32,
        zone: u32,
    }
}

/// How far the correlation of the window that is found may be below that of the nearest, for windows of up to 500 values.
pub const TOLERANCE: f64 = 1e-4;
/// The shortest window that has a shape.
pub const MIN_WINDOW: usize = 4;
/// Columns from one direct product to the next, and how many times the norm of a window may be that of one of so many
/// after it. An error of 2^-24 per operation grows to at most 4 CHAIN (1 + ratio)^2 2^-24 < 4e-5.
const CHAINS: [(usize, f64); 2] = [(16, 2.0), (4, 4.0)];
/// Bytes of correlations that are on the GPU at once.
const MAX_BYTES: usize = 64 << 20;
/// Lines of a dispatch at most.
const MAX_LINES: usize = 1024;
/// The shader's index of a window that has no other.
const NONE: u32 = u32::MAX;
/// What the shader adds to correlations with a row of each class. Two windows of which one is constant are sqrt(m) apart,
/// which a correlation of a half would be, and two constant ones 0.
const CONSTANT_BIAS: f32 = 0.5;
const NONFINITE_BIAS: f32 = -8.0;

/// The nearest other window of each window of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The distance to it, with both brought to mean 0 and deviation 1; infinite where there is none.
    pub distances: Vec<f64>,
    /// Where it begins.
    pub neighbors: Vec<Option<usize>>,
}

/// Windows that begin at most so far apart overlap too much to be compared: a quarter of their length, rounded up.
pub fn exclusion_zone(length: usize) -> usize {
    length.div_ceil(4)
}

/// The self-joins of series that are equally long.
///
/// # Errors
/// Windows that are too short or longer than half of the series, series of different lengths, or an adapter without room.
pub fn profiles(gpu: &Gpu, lines: &[Windows]) -> Result<Vec<Profile>> {
    let Some(first) = lines.first() else {
        return Ok(Vec::new());
    };
    let (count, length) = (first.count(), first.length);
    if length < MIN_WINDOW || count <= exclusion_zone(length) + 1 {
        return Err(Error::input(
            format!("windows of {length} records"),
            format!("a series of {} has too few to compare", first.values.len()),
            format!("use windows of {MIN_WINDOW} to half as many records as there are"),
        ));
    }
    let is_alike = |windows: &Windows| windows.count() == count && windows.length == length;
    if !lines.iter().all(is_alike) {
        return Err(Error::input(
            "self-joins",
            "the series are of different lengths",
            "give series of the same steps",
        ));
    }
    let mut found: Vec<Option<Profile>> = vec![None; lines.len()];
    for chain in [CHAINS[0].0, CHAINS[1].0, 1] {
        let own: Vec<usize> = (0..lines.len())
            .filter(|&line| chain_of(&lines[line]) == chain)
            .collect();
        let given = count.div_ceil(chain) + 3;
        let bytes = size_of::<f32>() * (given + 4) * (count + 4) + bytes_of_series(count, length);
        let at_once = (MAX_BYTES / bytes).clamp(1, MAX_LINES);
        for own in own.chunks(at_once) {
            let windows: Vec<&Windows> = own.iter().map(|&line| &lines[line]).collect();
            let neighbors = neighbors(gpu, &windows, chain)?;
            for (&line, neighbors) in own.iter().zip(neighbors) {
                found[line] = Some(measured(&lines[line], neighbors));
            }
        }
    }
    Ok(found.into_iter().flatten().collect())
}

/// Columns from one direct product to the next that the norms of these windows allow.
fn chain_of(windows: &Windows) -> usize {
    let is_sound = |(chain, limit): &(usize, f64)| {
        let norms = &windows.norms;
        (0..norms.len()).all(|i| {
            let before = norms[i.saturating_sub(chain - 1)..i].iter().rev();
            // A constant window ends what follows along the diagonals.
            let before = before.take_while(|norm| **norm > 0.0);
            norms[i] == 0.0 || before.fold(0.0f64, |a, &b| a.max(b)) <= limit * norms[i]
        })
    };
    CHAINS
        .iter()
        .find(|chain| is_sound(chain))
        .map_or(1, |(chain, _)| *chain)
}

/// For each window of each line the nearest other one.
fn neighbors(gpu: &Gpu, lines: &[&Windows], chain: usize) -> Result<Vec<Vec<u32>>> {
    let on_gpu = WindowsOnGpu::new(gpu, lines)?;
    let (count, length) = (lines[0].count(), lines[0].length);
    let window_quads = on_gpu.window_quads;
    let columns = chain.max(4);
    let lanes = count.div_ceil(columns);
    let given = columns / chain * lanes;
    let queries = lines.iter().flat_map(|windows| {
        let starts = (0..given).map(move |column| column * chain);
        starts.map(move |start| (start < count).then_some((*windows, start)))
    });
    let queries = on_gpu.queries(queries)?;
    let correlations = on_gpu.correlations(&queries, given, false)?;
    let rows: Vec<[f32; 4]> = lines
        .iter()
        .flat_map(|windows| (0..4 * window_quads).map(|row| row_of(windows, row)))
        .collect();
    let rows = gpu.upload("rows", &rows)?;
    let quads = columns / 4 * lanes;
    let nearest = gpu.buffer::<[u32; 4]>("neighbors", lines.len() * quads)?;
    let uniform = gpu.uniform(
        "self-joins",
        &ProfileUniforms {
            window_quads: window_quads as u32,
            lanes: lanes as u32,
            zone: exclusion_zone(length) as u32,
        },
    );
    let bindings: [(u32, Binding<'_>); 6] = [
        (0, uniform.binding()),
        (1, rows.binding()),
        (2, rows.binding().as_image()),
        (3, correlations.binding()),
        (4, correlations.binding().as_image()),
        (5, nearest.binding()),
    ];
    let constants = [
        ("CHAIN", chain as f64),
        gpu.profile().image_loads_constant(),
    ];
    let workgroups = [groups(lanes, 64), lines.len() as u32, 1];
    let kernel = gpu.kernel(&PROFILE, "main", &constants);
    let dispatch = kernel.bind(gpu, &bindings, workgroups);
    gpu.run("self-joins", [&dispatch]);
    let nearest = gpu.read(&nearest)?;
    let of_line = nearest.chunks_exact(quads);
    Ok(of_line
        .map(|quads| quads.iter().flatten().copied().take(count).collect())
        .collect())
}

/// What leads from a row to the next one, and what is added to correlations with it.
fn row_of(windows: &Windows, row: usize) -> [f32; 4] {
    if row >= windows.count() {
        return [0.0, 0.0, 0.0, NONFINITE_BIAS];
    }
    let bias = match windows.classes[row] {
        WindowClass::Varied => 0.0,
        WindowClass::Constant => CONSTANT_BIAS,
        WindowClass::Nonfinite => NONFINITE_BIAS,
    };
    let next = row + 1;
    if next >= windows.count() || windows.norms[next] == 0.0 {
        return [0.0, 0.0, 0.0, bias];
    }
    let value = |t: usize| f64::from(windows.values[t]);
    let (leaves, enters) = (value(row), value(row + windows.length));
    let f = (enters - leaves) / 2.0;
    let g = (enters - windows.means[next]) + (leaves - windows.means[row]);
    let norm = windows.norms[next];
    [
        (windows.norms[row] / norm) as f32,
        (f / norm) as f32,
        (g / norm) as f32,
        bias,
    ]
}

/// The distances to the neighbors, in float64.
fn measured(windows: &Windows, neighbors: Vec<u32>) -> Profile {
    let is_finite = |start: usize| windows.classes[start] != WindowClass::Nonfinite;
    let neighbors: Vec<Option<usize>> = neighbors
        .into_iter()
        .enumerate()
        .map(|(start, neighbor)| {
            let neighbor = (neighbor != NONE).then_some(neighbor as usize)?;
            (is_finite(start) && is_finite(neighbor)).then_some(neighbor)
        })
        .collect();
    let pairs = neighbors.iter().enumerate();
    let distance = |(start, neighbor): (usize, &Option<usize>)| {
        neighbor.map_or(f64::INFINITY, |other| {
            windows.distance(start, windows, other)
        })
    };
    Profile {
        distances: pairs.map(distance).collect(),
        neighbors,
    }
}

/// The distances of all windows of all series to one window: `[lines][windows]`. Those that are compared at all are as exact
/// as float32 products allow: their squares are off by less than `2 m` times [`TOLERANCE`].
///
/// # Errors
/// A query of another length, or an adapter without room.
pub fn distances_to(
    gpu: &Gpu,
    (query, start): (&Windows, usize),
    lines: &[Windows],
) -> Result<Vec<Vec<f64>>> {
    let Some(first) = lines.first() else {
        return Ok(Vec::new());
    };
    let (count, length) = (first.count(), first.length);
    if query.length != length {
        return Err(Error::input(
            format!("a query of {} records", query.length),
            format!("the windows have {length}"),
            "give windows of the query's length",
        ));
    }
    let bytes = size_of::<f32>() * (count + 4) + bytes_of_series(count, length);
    let at_once = (MAX_BYTES / bytes).clamp(1, MAX_LINES);
    let mut found = Vec::with_capacity(lines.len());
    let query_class = query.classes[start];
    for lines in lines.chunks(at_once) {
        let windows: Vec<&Windows> = lines.iter().collect();
        let on_gpu = WindowsOnGpu::new(gpu, &windows)?;
        let queries = on_gpu.queries(std::iter::once(Some((query, start))))?;
        let correlations = gpu.read(&on_gpu.correlations(&queries, 1, true)?)?;
        let of_line = correlations.chunks_exact(on_gpu.window_quads);
        found.extend(lines.iter().zip(of_line).map(|(windows, quads)| {
            let correlations = quads.iter().flatten();
            let pairs = windows.classes.iter().zip(correlations);
            let distance = |(&class, &correlation): (&WindowClass, &f32)| {
                distance_of((query_class, class), correlation.into(), length)
            };
            pairs.map(distance).collect()
        }));
    }
    Ok(found)
}

/// The distance of two windows with this correlation.
fn distance_of(classes: (WindowClass, WindowClass), correlation: f64, length: usize) -> f64 {
    let length = length as f64;
    match classes {
        (WindowClass::Nonfinite, _) | (_, WindowClass::Nonfinite) => f64::INFINITY,
        (WindowClass::Constant, WindowClass::Constant) => 0.0,
        (WindowClass::Constant, _) | (_, WindowClass::Constant) => length.sqrt(),
        _ => (2.0 * length * (1.0 - correlation).max(0.0)).sqrt(),
    }
}
