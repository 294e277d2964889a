//! The matrix product in both variants, against float64.

use trainscope::gpu::{Buffer, Gpu};
use trainscope::nn::matmul::{Matmul, MatrixLayout, reference};

use super::harness::{Numbers, variants, wide};
use crate::support;

use MatrixLayout::{RowMajor, Transposed};

const ORIENTATIONS: [[MatrixLayout; 2]; 3] = [
    [RowMajor, RowMajor],
    [Transposed, RowMajor],
    [RowMajor, Transposed],
];

/// What C holds behind its last element, which no kernel may touch.
const GUARD: f32 = 12345.0;
const GUARDS: usize = 9;

struct Case {
    shape: [usize; 3],
    orientations: [MatrixLayout; 2],
    a: Vec<f32>,
    b: Vec<f32>,
    bias: Option<Vec<f32>>,
    c: Vec<f32>,
    accumulate: bool,
}

impl Case {
    fn random(shape: [usize; 3], orientations: [MatrixLayout; 2], numbers: &mut Numbers) -> Self {
        let [m, n, k] = shape;
        Self {
            shape,
            orientations,
            a: numbers.many(m * k, -1.0, 1.0),
            b: numbers.many(k * n, -1.0, 1.0),
            bias: None,
            c: numbers.many(m * n, -1.0, 1.0),
            accumulate: false,
        }
    }

    fn on(&self, gpu: &Gpu) -> Vec<f32> {
        self.with_bias_gradient(gpu, None)
    }

    fn with_bias_gradient(&self, gpu: &Gpu, bias_gradient: Option<&Buffer<f32>>) -> Vec<f32> {
        let [m, n, k] = self.shape;
        let upload = |label, values: &[f32]| gpu.upload(label, values).expect("a buffer");
        let (a, b) = (upload("a", &self.a), upload("b", &self.b));
        let bias = self.bias.as_ref().map(|bias| upload("bias", bias));
        let mut guarded = self.c.clone();
        guarded.extend([GUARD; GUARDS]);
        let c = upload("c", &guarded);
        let product = Matmul {
            m,
            n,
            k,
            a: (a.binding(), self.orientations[0]),
            b: (b.binding(), self.orientations[1]),
            bias: bias.as_ref().map(|bias| bias.binding()),
            c: c.binding(),
            bias_gradient: bias_gradient.map(Buffer::binding),
            accumulate: self.accumulate,
        };
        let dispatch = product.dispatch(gpu).expect("it fits");
        gpu.run("matmul", [&dispatch]);
        let mut result = gpu.read(&c).expect("a result");
        assert_eq!(result.split_off(m * n), [GUARD; GUARDS], "behind C");
        result
    }

    fn exact(&self, map: impl Fn(f64) -> f64) -> Vec<f64> {
        let mapped = |values: &[f32]| wide(values).into_iter().map(&map).collect::<Vec<f64>>();
        let bias = self.bias.as_deref().map(mapped);
        let mut c = reference(
            self.shape,
            (&mapped(&self.a), self.orientations[0]),
            (&mapped(&self.b), self.orientations[1]),
            bias.as_deref(),
        );
        if self.accumulate {
            c.iter_mut()
                .zip(mapped(&self.c))
                .for_each(|(c, old)| *c += old);
        }
        c
    }
}

#[test]
fn products_match_reference() {
    let mut numbers = Numbers::new(1);
    let mut shapes = vec![
        [1, 1, 1],
        [1, 7, 3],
        [5, 1, 2],
        [2, 3, 1],
        [1, 128, 4],
        [16, 64, 16],
        [17, 65, 19],
        [67, 131, 37],
        [64, 32, 8],
        [33, 36, 40],
        [132, 200, 12],
        // Aligned columns with ragged rows, and the other way round.
        [13, 68, 20],
        [12, 67, 20],
        [4, 4, 5],
        [3, 260, 300],
        [20, 5, 784],
    ];
    for _ in 0..8 {
        shapes.push([0, 1, 2].map(|_| 1 + numbers.below(90)));
    }
    for shape in shapes {
        for orientations in ORIENTATIONS {
            for (bias, accumulate) in [(false, false), (true, false), (false, true), (true, true)] {
                let mut case = Case::random(shape, orientations, &mut numbers);
                case.bias = bias.then(|| numbers.many(shape[1], -1.0, 1.0));
                case.accumulate = accumulate;
                let exact = case.exact(|value| value);
                // Each of the k + 2 additions rounds by at most half a unit of the sum of magnitudes.
                let magnitudes = case.exact(f64::abs);
                let share = (shape[2] + 3) as f64 * f64::from(f32::EPSILON);
                for (variant, gpu) in &variants() {
                    let got = case.on(gpu);
                    for (i, (&got, (exact, size))) in
                        got.iter().zip(exact.iter().zip(&magnitudes)).enumerate()
                    {
                        assert!(
                            (f64::from(got) - exact).abs() <= share * size,
                            "{shape:?} {orientations:?} {variant:?} bias {bias} accumulate {accumulate}: \
                             element {i} is {got}, not {exact}"
                        );
                    }
                }
            }
        }
    }
    support::gpu().check().expect("no device error");
}

#[test]
fn bias_gradient_is_the_sum_of_rows() {
    let mut numbers = Numbers::new(3);
    for shape in [
        [1, 1, 1],
        [5, 36, 7],
        [16, 64, 16],
        [67, 131, 37],
        [132, 200, 12],
        [20, 400, 128],
        [7, 8, 130],
    ] {
        let [m, _, k] = shape;
        for orientations in ORIENTATIONS {
            let case = Case::random(shape, orientations, &mut numbers);
            let a = |row, inner| match orientations[0] {
                RowMajor => case.a[row * k + inner],
                Transposed => case.a[inner * m + row],
            };
            for (variant, gpu) in &variants() {
                let sums = gpu.upload("sums", &vec![GUARD; m + GUARDS]).unwrap();
                let product = case.with_bias_gradient(gpu, Some(&sums));
                assert_eq!(product, case.on(gpu), "{shape:?} {variant:?}");
                let got = gpu.read(&sums).unwrap();
                assert_eq!(got[m..], [GUARD; GUARDS], "behind the sums");
                for (row, &got) in got[..m].iter().enumerate() {
                    let exact: f64 = (0..k).map(|inner| f64::from(a(row, inner))).sum();
                    assert!(
                        (f64::from(got) - exact).abs() <= k as f64 * k as f64 * 1e-7,
                        "{shape:?} {orientations:?} {variant:?}: row {row} sums to {got}, not {exact}"
                    );
                }
            }
        }
    }
}

/// NaN and infinity reach the rows and columns that depend on them, as NaN and infinity, and no others.
#[test]
fn non_finite_values_do_not_spread() {
    let mut numbers = Numbers::new(2);
    for shape in [
        [1, 1, 1],
        [17, 67, 19],
        [16, 64, 16],
        [5, 36, 7],
        [66, 130, 33],
        [3, 4, 6],
    ] {
        let [m, n, k] = shape;
        for orientations in ORIENTATIONS {
            for poison in [f32::NAN, f32::INFINITY] {
                for position in 0..5 {
                    let mut case = Case::random(shape, orientations, &mut numbers);
                    case.bias = Some(numbers.many(n, -1.0, 1.0));
                    case.accumulate = true;
                    let last = position % 2 == 0;
                    let mut pick = |end: usize| if last { end - 1 } else { numbers.below(end) };
                    let (row, column, inner) = (pick(m), pick(n), pick(k));
                    match position {
                        0 | 1 => {
                            case.a[match orientations[0] {
                                RowMajor => row * k + inner,
                                Transposed => inner * m + row,
                            }] = poison;
                        }
                        2 | 3 => {
                            case.b[match orientations[1] {
                                RowMajor => inner * n + column,
                                Transposed => column * k + inner,
                            }] = poison;
                        }
                        _ => case.bias.as_mut().expect("set above")[column] = poison,
                    }
                    let exact = case.exact(|value| value);
                    assert!(exact.iter().any(|value| !value.is_finite()));
                    for (variant, gpu) in &variants() {
                        let got = case.on(gpu);
                        for (i, (&got, exact)) in got.iter().zip(&exact).enumerate() {
                            let same = match exact.classify() {
                                std::num::FpCategory::Nan => got.is_nan(),
                                std::num::FpCategory::Infinite => f64::from(got) == *exact,
                                _ => (f64::from(got) - exact).abs() < 1e-4,
                            };
                            assert!(
                                same,
                                "{poison} at position {position} of {shape:?} {orientations:?} {variant:?}: \
                                 element {i} is {got}, not {exact}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn invalid_products_are_rejected() {
    let gpu = support::gpu();
    let buffer = gpu.buffer::<f32>("x", 16).expect("small");
    let product = |[m, n, k]: [usize; 3], orientation| Matmul {
        m,
        n,
        k,
        a: (buffer.binding(), orientation),
        b: (buffer.binding(), orientation),
        bias: None,
        c: buffer.binding(),
        bias_gradient: None,
        accumulate: false,
    };
    for (shape, orientation, problem) in [
        ([2, 2, 2], Transposed, "both operands are transposed"),
        ([2, 0, 2], RowMajor, "a dimension is 0"),
        ([1 << 22, 4, 4], RowMajor, "workgroups"),
    ] {
        let error = product(shape, orientation)
            .dispatch(gpu)
            .expect_err("it must not run")
            .to_string();
        assert!(error.starts_with("matrix product ["), "{error}");
        assert!(error.contains(problem), "{error}");
    }
}
