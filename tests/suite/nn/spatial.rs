//! Operations on images: references against central differences, kernels against references.

use trainscope::models::Layer;
use trainscope::nn::losses::ElementwiseLoss;
use trainscope::nn::ops::{
    Activation, Add, Concat, Conv2d, ConvTranspose2d, Dense, Pool, Reshape, Slice, Upsample,
};
use trainscope::nn::{Conv2dGeometry, NodeId, Operation, Parameters, Plan};

use super::harness::{Network, check};
use super::operations::{front, numbers_for, squared};
use super::references;
use crate::support;

/// Images that a learnable layer made.
fn learnable_images(graph: &mut Network, shape: &[usize]) -> NodeId {
    let size: usize = shape.iter().product();
    let flat = if size <= 64 {
        front(graph, size)
    } else {
        let x = graph.input("x", &[3]);
        graph.add("front", Dense::new(size), &[x]).expect("it fits")
    };
    let shape = shape.to_vec();
    let images = graph.add("images", Reshape { shape }, &[flat]);
    images.expect("it fits")
}

/// An operation on images, what reads it, and a second consumer of its input, so that gradients add up.
fn around(shape: &[usize], operation: impl Operation + Copy + 'static) -> Network {
    let mut graph = Network::new();
    let x = learnable_images(&mut graph, shape);
    let act = graph.add("act", Activation::Tanh, &[x]).expect("it fits");
    let y = graph.add("y", operation, &[act]).expect("it fits");
    let z = graph.add("z", Activation::Tanh, &[y]).expect("it fits");
    squared(&mut graph, z);
    let target = graph.input("second target", shape);
    let error = graph.add("second", ElementwiseLoss::SquaredError, &[act, target]);
    let error = error.expect("it fits");
    graph.loss("second", error, 0.2).expect("a scalar");
    graph
}

fn check_kernels(shape: &[usize], batch: usize, operation: impl Operation + Copy + 'static) {
    let graph = around(shape, operation);
    let inputs = numbers_for(&graph, batch, 41, -1.0, 1.0);
    let what = format!("{operation:?} of {shape:?}");
    check(&what, &graph, batch, &inputs, 3);
}

fn windows() -> Vec<(Conv2dGeometry, [usize; 2])> {
    vec![
        (Conv2dGeometry::new(1), [1, 1]),
        (Conv2dGeometry::new(3).padding(1), [5, 4]),
        (Conv2dGeometry::new(3).stride(2).padding(1), [5, 6]),
        (Conv2dGeometry::new([2, 3]).stride([1, 2]), [4, 5]),
        (
            Conv2dGeometry::new(2).dilation([2, 1]).padding([0, 1]),
            [3, 4],
        ),
        (Conv2dGeometry::new(2).stride(3).padding(1), [4, 4]),
        (Conv2dGeometry::new([5, 1]).padding([4, 0]), [1, 3]),
    ]
}

#[test]
fn gradients_of_convolutions_agree_with_central_differences() {
    for (geometry, [height, width]) in windows() {
        for (batch, input, channels) in [(1, 1, 1), (2, 2, 3)] {
            let shape: &[usize] = &[input, height, width];
            references::check(&Conv2d::new(channels, geometry), batch, &[shape], None);
            let mut transposed = ConvTranspose2d::new(channels, geometry);
            transposed.output_padding = [geometry.stride.y - 1, geometry.stride.x - 1].into();
            if transposed.output_shape(&[shape]).is_ok() {
                references::check(&transposed, batch, &[shape], None);
            }
        }
    }
}

/// Batch, channels in and out, height and width, geometry.
fn sizes() -> Vec<(usize, [usize; 2], [usize; 2], Conv2dGeometry)> {
    vec![
        (1, [1, 1], [1, 1], Conv2dGeometry::new(1)),
        (3, [1, 1], [7, 5], Conv2dGeometry::new(3)),
        (2, [3, 5], [7, 11], Conv2dGeometry::new(3).padding(1)),
        (
            5,
            [2, 17],
            [9, 8],
            Conv2dGeometry::new(4).stride(2).padding(1),
        ),
        (
            67,
            [1, 4],
            [5, 5],
            Conv2dGeometry::new(5).stride(2).padding(2),
        ),
        (
            3,
            [5, 33],
            [6, 6],
            Conv2dGeometry::new([3, 2]).dilation([2, 1]),
        ),
        (4, [16, 8], [4, 4], Conv2dGeometry::new(4)),
        (
            2,
            [7, 3],
            [13, 3],
            Conv2dGeometry::new([1, 3]).stride([3, 1]).padding([0, 2]),
        ),
        (
            2,
            [2, 2],
            [1, 70],
            Conv2dGeometry::new([1, 2]).dilation([1, 5]).stride(4),
        ),
        // Several slices of the weight's gradient.
        (9, [8, 4], [24, 24], Conv2dGeometry::new(5).padding(2)),
        // Every position modulo the stride has a product of its own: some with fewer elements of the kernel, some with none.
        (3, [9, 12], [7, 5], Conv2dGeometry::new(2).stride(3)),
        (
            6,
            [10, 9],
            [9, 9],
            Conv2dGeometry::new(3).stride(2).dilation(3).padding(2),
        ),
        (
            2,
            [20, 40],
            [12, 11],
            Conv2dGeometry::new([4, 3]).stride([4, 2]).dilation([2, 3]),
        ),
        // So many that they are folded instead.
        (2, [9, 9], [19, 10], Conv2dGeometry::new(10).stride(9)),
    ]
}

#[test]
fn convolutions() {
    for (batch, [input, channels], [height, width], geometry) in sizes() {
        check_kernels(
            &[input, height, width],
            batch,
            Conv2d::new(channels, geometry),
        );
    }
}

/// A kernel as large as its images, with more elements than a dispatch has tiles for.
#[test]
fn a_weight_beyond_one_dispatch_is_refused_in_a_sentence() {
    let gpu = support::gpu();
    let mut graph = Network::new();
    let x = graph.input("x", &[1, 2_100, 2_100]);
    let y = graph.add("y", Conv2d::new(1, Conv2dGeometry::new(2_100)), &[x]);
    squared(&mut graph, y.expect("it fits"));
    let parameters = Parameters::new(gpu, &graph, 1).expect("parameters");
    let request = Plan::request(&graph, 1).loss(&graph.loss);
    let plan = request.build(gpu, &parameters);
    let error = plan.expect_err("it must not run").to_string();
    assert!(
        error.starts_with("gradient of a convolution's weight [1, 4410000]"),
        "{error}"
    );
    assert!(error.contains("workgroups"), "{error}");
}

#[test]
fn transposed_convolutions() {
    for (batch, [input, channels], [height, width], geometry) in sizes() {
        let mut transposed = ConvTranspose2d::new(channels, geometry);
        check_kernels(&[input, height, width], batch, transposed);
        let most = |stride: usize, dilation: usize| stride.max(dilation) - 1;
        transposed.output_padding = [
            most(geometry.stride.y, geometry.dilation.y),
            most(geometry.stride.x, geometry.dilation.x),
        ]
        .into();
        check_kernels(&[input, height, width], batch, transposed);
    }
}

#[test]
fn gradients_of_pools_and_joins_agree_with_central_differences() {
    for batch in [1, 2] {
        let shape: &[usize] = &[2, 5, 4];
        for geometry in [
            Conv2dGeometry::new(1),
            Conv2dGeometry::new(2).stride(2),
            Conv2dGeometry::new(3).stride(2).padding(1),
            Conv2dGeometry::new([2, 3]).stride([3, 1]).padding([1, 0]),
        ] {
            references::check(&Pool::Max(geometry), batch, &[shape], None);
            references::check(&Pool::Average(geometry), batch, &[shape], None);
        }
        references::check(&Pool::GlobalAverage, batch, &[shape], None);
        let factor = [2, 3].into();
        references::check(&Upsample { factor }, batch, &[shape], None);
        references::check(&Add, batch, &[shape; 3], None);
        references::check(&Concat, batch, &[&[3, 2], &[1, 2], &[4, 2]], None);
        references::check(&Slice { first: 1, count: 2 }, batch, &[&[4, 3]], None);
    }
}

#[test]
fn pools() {
    for (batch, shape) in [
        (1, [1, 3, 3]),
        (3, [5, 7, 11]),
        (67, [2, 4, 6]),
        (2, [33, 9, 8]),
    ] {
        for geometry in [
            Conv2dGeometry::new(1),
            Conv2dGeometry::new(2).stride(2),
            Conv2dGeometry::new(3).stride(2).padding(1),
            Conv2dGeometry::new([3, 2]).stride([1, 3]).padding([1, 0]),
        ] {
            check_kernels(&shape, batch, Pool::Max(geometry));
            check_kernels(&shape, batch, Pool::Average(geometry));
        }
        check_kernels(&shape, batch, Pool::GlobalAverage);
        for factor in [1.into(), 2.into(), [3, 2].into()] {
            check_kernels(&shape, batch, Upsample { factor });
        }
    }
}

/// Sums and rows of several inputs, one of them twice.
#[test]
fn joins() {
    for (batch, shapes) in [
        (1, [[1, 1], [2, 1]]),
        (5, [[3, 7], [2, 7]]),
        (67, [[4, 4], [8, 4]]),
    ] {
        let mut graph = Network::new();
        let x = graph.input("x", &[3]);
        let parts = shapes.map(|shape| {
            let name = format!("part {shape:?}");
            let dense = Dense::new(shape.iter().product());
            let flat = graph.add(&name, dense, &[x]).expect("it fits");
            let shaped = Reshape {
                shape: shape.to_vec(),
            };
            let shaped = graph.add(&format!("shaped {shape:?}"), shaped, &[flat]);
            shaped.expect("it fits")
        });
        let all = [parts[0], parts[1], parts[0]];
        let row = graph.add("row", Concat, &all).expect("it fits");
        let act = graph.add("act", Activation::Tanh, &[row]).expect("it fits");
        let sum = graph.add("sum", Add, &[row, act, row]).expect("it fits");
        // Parts that overlap, one of which begins at no multiple of four.
        let channels = graph.node(row).shape[0];
        let mut parts = vec![sum];
        for (name, first, count) in [("first", 0, 2), ("last", 1, channels - 1)] {
            let part = graph.add(name, Slice { first, count }, &[row]);
            parts.push(part.expect("it fits"));
        }
        let parts = graph.add("parts", Concat, &parts).expect("they fit");
        squared(&mut graph, parts);
        let inputs = numbers_for(&graph, batch, 42, -1.0, 1.0);
        check(&format!("joins of {shapes:?}"), &graph, batch, &inputs, 3);
    }
}

#[derive(serde::Deserialize, serde::Serialize, PartialEq, Debug)]
struct Layers {
    layers: Vec<Layer>,
}

fn layers(text: &str) -> Vec<Layer> {
    let read: Layers = toml::from_str(&format!("layers = [{text}]")).expect("layers");
    let written = toml::to_string(&read).expect("text");
    assert_eq!(toml::from_str::<Layers>(&written).expect("layers"), read);
    read.layers
}

#[test]
fn scenarios_name_layers_of_images() {
    let layers = layers(
        r#"{ conv2d = { channels = 8, kernel = 3, stride = 2, padding = 1 } }, "gelu",
        { residual = [{ conv2d = { channels = 8, kernel = [3, 1], padding = [1, 0] } }, "silu"] },
        { max_pool2d = { kernel = 2 } }, { upsample = { factor = 2 } },
        { avg_pool2d = { kernel = 3, stride = 1, padding = 1 } }, { elu = { alpha = 1.0 } },
        { conv_transpose2d = { channels = 4, kernel = 3, stride = 2, padding = 1, output_padding = 1, dilation = 1 } },
        "global_avg_pool", { reshape = [4, 1, 1] }, "flatten", { dense = { units = 3 } }"#,
    );
    let mut graph = Network::new();
    let x = graph.input("x", &[3, 12, 16]);
    let last = graph.sequential("layers", &layers, x).expect("it fits");
    squared(&mut graph, last);
    let shape = |name: &str| graph.node(graph.find(name).expect(name)).shape.clone();
    assert_eq!(shape("layers.0"), [8, 6, 8]);
    assert_eq!(shape("layers.2"), [8, 6, 8]);
    assert_eq!(shape("layers.3"), [8, 3, 4]);
    assert_eq!(shape("layers.5"), [8, 6, 8]);
    assert_eq!(shape("layers.7"), [4, 12, 16]);
    assert_eq!(shape("layers.8"), [4]);
    assert_eq!(shape("layers.10"), [4]);
    let parameters: Vec<_> = graph.parameters().iter().map(|p| p.name.as_str()).collect();
    assert_eq!(
        parameters,
        [
            "layers.0.weight",
            "layers.0.bias",
            "layers.2.0.weight",
            "layers.2.0.bias",
            "layers.7.weight",
            "layers.7.bias",
            "layers.11.weight",
            "layers.11.bias"
        ]
    );
    let inputs = numbers_for(&graph, 3, 43, -1.0, 1.0);
    check("layers of images", &graph, 3, &inputs, 3);
}

#[test]
fn misfits_of_images_say_what_came_in_and_what_is_needed() {
    for (text, shape, expected) in [
        (
            "{ conv2d = { channels = 4, kernel = 7, padding = 1 } }",
            &[1usize, 4, 4] as &[usize],
            "layer layers.0 (conv2d): got images of 4 x 4, 6 x 6 with the padding; it needs images of at least 7 x 7, the \
             area of the kernel",
        ),
        (
            "{ conv2d = { channels = 4, kernel = 3 } }",
            &[784],
            "layer layers.0 (conv2d): got [784]; it needs images: [channels, height, width] (put a reshape before it)",
        ),
        (
            "{ conv2d = { channels = 4, kernel = 3, stride = 0 } }",
            &[1, 4, 4],
            "layer layers.0 (conv2d): got a stride of 0 x 0; it needs a stride from 1 to 32768",
        ),
        (
            "{ conv2d = { channels = 0, kernel = 3 } }",
            &[1, 4, 4],
            "layer layers.0 (conv2d): got channels = 0; it needs at least one channel",
        ),
        (
            "{ conv_transpose2d = { channels = 4, kernel = 3, output_padding = 1 } }",
            &[1, 4, 4],
            "layer layers.0 (conv_transpose2d): got an output_padding of 1 x 1; it needs an output_padding smaller than the \
             stride or the dilation",
        ),
        (
            "{ conv_transpose2d = { channels = 4, kernel = 2, padding = 3 } }",
            &[1, 4, 4],
            "layer layers.0 (conv_transpose2d): got images of 4 x 4 and a padding of 3 x 3; it needs a smaller padding: \
             nothing is left of the output",
        ),
        (
            "{ max_pool2d = { kernel = 2, padding = 2 } }",
            &[1, 4, 4],
            "layer layers.0 (max_pool2d): got a padding of 2 x 2 and a kernel of 2 x 2; it needs a padding of at most half \
             the kernel",
        ),
        (
            "{ upsample = { factor = 0 } }",
            &[1, 4, 4],
            "layer layers.0 (upsample): got a factor of 0 x 0; it needs a factor from 1 to 64",
        ),
        (
            "{ residual = [{ conv2d = { channels = 2, kernel = 3 } }] }",
            &[1, 4, 4],
            "layer layers.0 (add): got [[1, 4, 4], [2, 2, 2]]; it needs inputs of one shape (a residual's layers must keep \
             the shape of what comes in)",
        ),
        (
            "{ conv2d = { channels = 99999999, kernel = 32768 } }",
            &[1, 4, 4],
            "layer layers.0 (conv2d): got 99999999 by 1 channels and 1073741824 elements of the kernel; it needs at most \
             33,554,432 weights",
        ),
    ] {
        let mut graph = Network::new();
        let x = graph.input("x", shape);
        let error = graph
            .sequential("layers", &layers(text), x)
            .expect_err("it does not fit");
        assert_eq!(error.to_string(), expected);
    }
}
