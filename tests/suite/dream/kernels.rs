//! The kernels of dreams against their float64 references, on random values.

use proptest::prelude::*;
use trainscope::dream::{Basis, InputKind, InputSpace, Parametrization, Regularizer, SpaceOnGpu};
use trainscope::nn::StepCounter;

use crate::nn::harness::{Numbers, wide};
use crate::support::gpu;

fn real(numbers: &mut Numbers, shape: &[usize]) -> Vec<f32> {
    numbers.many(6 * shape.iter().product::<usize>(), 0.0, 1.0)
}

/// A space of some kind and size.
fn space(kind: usize, sides: [usize; 2], numbers: &mut Numbers) -> (InputSpace, Vec<f32>) {
    let [height, width] = sides;
    let (kind, shape) = match kind {
        0 => (InputKind::Image, vec![1, height, width]),
        1 => (InputKind::Image, vec![3, height, width]),
        2 => (InputKind::Clip, vec![23, height, width]),
        _ => (InputKind::Vector, vec![height * width]),
    };
    let real = real(numbers, &shape);
    (InputSpace::new(kind, &shape, &real), real)
}

/// All changes of basis that there are of a space.
fn bases(space: &InputSpace, real: &[f32]) -> Vec<Basis> {
    let cases = [(true, false), (false, true), (true, true)];
    let has_colors = space.streams[0].components == 3;
    let cases = cases
        .into_iter()
        .filter(|(_, colors)| has_colors || !colors);
    cases
        .map(|(fourier, colors)| Basis::new(space, fourier, colors, real).unwrap())
        .collect()
}

fn close(got: &[f32], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    let largest = want
        .iter()
        .fold(1e-3f64, |most, value| most.max(value.abs()));
    for (index, (&got, &want)) in got.iter().zip(want).enumerate() {
        let off = (f64::from(got) - want).abs() / largest;
        assert!(off < tolerance, "{index}: {got} where {want} is right");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The reference's gradient is the derivative of its energy.
    #[test]
    fn reference_regularizer_agrees_with_central_differences(
        kind in 0..4usize, height in 2..6usize, width in 2..6usize, seed in 0..1000u64,
    ) {
        let mut numbers = Numbers::new(seed);
        let (space, _) = space(kind, [height, width], &mut numbers);
        let values: Vec<f64> = (0..space.size()).map(|_| numbers.one(-1.0, 1.0)).collect();
        let regularizer = Regularizer { range: 0.7, smoothness: 1.3, kappa: 0.6 };
        let (_, gradient) = regularizer.reference(&space, 2.5, &values);
        for _ in 0..10 {
            let at = numbers.below(values.len());
            let energy = |by: f64| {
                let mut values = values.clone();
                values[at] += by;
                regularizer.reference(&space, 2.5, &values).0
            };
            let want = (energy(1e-5) - energy(-1e-5)) / 2e-5;
            prop_assert!((gradient[at] - want).abs() < 1e-6 * (1.0 + want.abs()));
        }
    }

    #[test]
    fn regularizer_and_shifts_agree_with_float64(
        kind in 0..4usize, height in 2..9usize, width in 2..9usize, rows in 1..4usize,
        step in 0..50u32, seed in 0..1000u64,
    ) {
        let gpu = gpu();
        let mut numbers = Numbers::new(seed);
        let (space, _) = space(kind, [height, width], &mut numbers);
        let on_gpu = SpaceOnGpu::new(gpu, &space, rows).unwrap();
        let size = space.size();
        let values = numbers.many(rows * size, -1.0, 1.0);
        let through = numbers.many(rows * size, -1.0, 1.0);
        let chi = numbers.many(rows, 0.0, 10.0);
        let regularizer = Regularizer { range: 1.5, smoothness: 0.8, kappa: 0.9 };

        let counter = StepCounter::new(gpu).unwrap();
        counter.set(gpu, step);
        let shift = gpu.buffer::<u32>("shift", 2).unwrap();
        let buffers = [&values, &through].map(|it| gpu.upload("values", it).unwrap());
        let [value_buffer, through_buffer] = &buffers;
        let gradient = gpu.buffer::<f32>("gradient", rows * size).unwrap();
        let input = gpu.buffer::<f32>("input", rows * size).unwrap();
        let chi_buffer = gpu.upload("chi", &chi).unwrap();
        let all = [value_buffer, through_buffer, &gradient];
        gpu.run("test", &[
            on_gpu.draw_shift(seed, 3, &counter, &shift),
            on_gpu.to_input(value_buffer, &shift, &input),
            regularizer.dispatch(gpu, &on_gpu, &chi_buffer, &shift, all),
        ]);

        let [down, right] = space.reference_shift(seed, 3, step);
        prop_assert_eq!(gpu.read(&shift).unwrap(), vec![down as u32, right as u32]);
        let [rows_of_image, columns] = space.sides();
        let positions = rows_of_image * columns;
        let rolled = |at: usize| {
            let (y, x) = (at % positions / columns, at % columns);
            let (y, x) = ((y + down) % rows_of_image, (x + right) % columns);
            at / positions * positions + y * columns + x
        };
        let inputs = space.inputs_of(&values);
        let mut want_input = vec![0.0; rows * size];
        for (at, &value) in inputs.iter().enumerate() {
            want_input[rolled(at)] = f64::from(value);
        }
        close(&gpu.read(&input).unwrap(), &want_input, 1e-6);

        let mut want = Vec::new();
        for (row, values) in values.chunks_exact(size).enumerate() {
            let chi = f64::from(chi[row]);
            want.extend(regularizer.reference(&space, chi, &wide(values)).1);
        }
        // What comes through the network is in the units of the data.
        let ones = space.inputs_of(&vec![1.0; rows * size]);
        let zeros = space.inputs_of(&vec![0.0; rows * size]);
        for at in 0..want.len() {
            let bound = f64::from(ones[at]) - f64::from(zeros[at]);
            want[at] += bound * f64::from(through[rolled(at)]);
        }
        close(&gpu.read(&gradient).unwrap(), &want, 1e-5);
    }

    #[test]
    fn projection_agrees_with_float64(
        kind in 0..4usize, height in 2..9usize, width in 2..9usize, rows in 1..4usize,
        seed in 0..1000u64,
    ) {
        let gpu = gpu();
        let mut numbers = Numbers::new(seed);
        let (space, _) = space(kind, [height, width], &mut numbers);
        let on_gpu = SpaceOnGpu::new(gpu, &space, rows).unwrap();
        let values = numbers.many(rows * space.size(), -2.0, 2.0);
        let buffer = gpu.upload("values", &values).unwrap();
        gpu.run("test", &[on_gpu.project(&buffer)]);
        let mut want = wide(&values);
        space.reference_projection(&mut want);
        close(&gpu.read(&buffer).unwrap(), &want, 1e-5);
    }

    /// Parameters to values and back, and the gradient as the transposed way.
    #[test]
    fn changes_of_basis_agree_with_float64(
        kind in 0..3usize, height in 2..9usize, width in 2..9usize, rows in 1..3usize,
        seed in 0..1000u64,
    ) {
        let gpu = gpu();
        let mut numbers = Numbers::new(seed);
        let (space, real) = space(kind, [height, width], &mut numbers);
        let size = space.size();
        for basis in bases(&space, &real) {
            let values = gpu.buffer::<f32>("values", rows * size).unwrap();
            let upstream = numbers.many(rows * size, -1.0, 1.0);
            let gradient = gpu.upload("gradient", &upstream).unwrap();
            let on_gpu = Parametrization::new(gpu, &space, &basis, &values, &gradient).unwrap();
            let parameters = numbers.many(rows * size, -1.0, 1.0);
            gpu.write(&on_gpu.parameters, 0, &parameters);
            gpu.run("test", on_gpu.to_values.iter().chain(&on_gpu.to_gradient));
            let each = |all: &[f32], of: &dyn Fn(&[f64]) -> Vec<f64>| -> Vec<f64> {
                all.chunks_exact(size).flat_map(|part| of(&wide(part))).collect()
            };
            let want = each(&parameters, &|part| basis.reference_values(&space, part));
            close(&gpu.read(&values).unwrap(), &want, 1e-4);
            let want_gradient = each(&upstream, &|part| basis.reference_gradient(&space, part));
            close(&gpu.read(&on_gpu.gradient).unwrap(), &want_gradient, 1e-4);
            // The product of values and gradient is that of parameters and their gradient.
            let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let of_values = product(&want, &wide(&upstream));
            let of_parameters = product(&wide(&parameters), &want_gradient);
            let scale = product(&want, &want).sqrt() * (rows * size) as f64;
            prop_assert!((of_values - of_parameters).abs() < 1e-9 * (1.0 + scale));
            gpu.run("test", on_gpu.to_parameters.iter());
            close(&gpu.read(&on_gpu.parameters).unwrap(), &wide(&parameters), 1e-3);
        }
    }
}
