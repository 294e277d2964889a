//! Operations on images: twins against central differences, kernels against twins.

use trainscope::nn::losses::Reconstruction;
use trainscope::nn::ops::{Activation, Conv2d, ConvTranspose2d, Dense, Reshape};
use trainscope::nn::{Graph, NodeId, Operation, Window};

use super::harness::check;
use super::operations::{front, numbers_for, squared};
use super::twins;

/// Images that a learnable layer made.
fn learnable_images(graph: &mut Graph, shape: &[usize]) -> NodeId {
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
fn around(shape: &[usize], operation: impl Operation + Copy + 'static) -> Graph {
    let mut graph = Graph::new();
    let x = learnable_images(&mut graph, shape);
    let act = graph.add("act", Activation::Tanh, &[x]).expect("it fits");
    let y = graph.add("y", operation, &[act]).expect("it fits");
    let z = graph.add("z", Activation::Tanh, &[y]).expect("it fits");
    squared(&mut graph, z);
    let target = graph.input("second target", shape);
    let error = graph.add("second", Reconstruction::SquaredError, &[act, target]);
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

fn windows() -> Vec<(Window, [usize; 2])> {
    vec![
        (Window::new(1), [1, 1]),
        (Window::new(3).padding(1), [5, 4]),
        (Window::new(3).stride(2).padding(1), [5, 6]),
        (Window::new([2, 3]).stride([1, 2]), [4, 5]),
        (Window::new(2).dilation([2, 1]).padding([0, 1]), [3, 4]),
        (Window::new(2).stride(3).padding(1), [4, 4]),
        (Window::new([5, 1]).padding([4, 0]), [1, 3]),
    ]
}

#[test]
fn gradients_of_convolutions_agree_with_central_differences() {
    for (window, [height, width]) in windows() {
        for (batch, input, channels) in [(1, 1, 1), (2, 2, 3)] {
            let shape: &[usize] = &[input, height, width];
            twins::check(&Conv2d::new(channels, window), batch, &[shape], None);
            let mut transposed = ConvTranspose2d::new(channels, window);
            transposed.output_padding = [window.stride.y - 1, window.stride.x - 1].into();
            if transposed.output_shape(&[shape]).is_ok() {
                twins::check(&transposed, batch, &[shape], None);
            }
        }
    }
}

/// Batch, channels in and out, height and width, window.
fn sizes() -> Vec<(usize, [usize; 2], [usize; 2], Window)> {
    vec![
        (1, [1, 1], [1, 1], Window::new(1)),
        (3, [1, 1], [7, 5], Window::new(3)),
        (2, [3, 5], [7, 11], Window::new(3).padding(1)),
        (5, [2, 17], [9, 8], Window::new(4).stride(2).padding(1)),
        (67, [1, 4], [5, 5], Window::new(5).stride(2).padding(2)),
        (3, [5, 33], [6, 6], Window::new([3, 2]).dilation([2, 1])),
        (4, [16, 8], [4, 4], Window::new(4)),
        (
            2,
            [7, 3],
            [13, 3],
            Window::new([1, 3]).stride([3, 1]).padding([0, 2]),
        ),
        (
            2,
            [2, 2],
            [1, 70],
            Window::new([1, 2]).dilation([1, 5]).stride(4),
        ),
        // Several parts of the batch on a CPU adapter.
        (9, [8, 4], [24, 24], Window::new(5).padding(2)),
    ]
}

#[test]
fn convolutions() {
    for (batch, [input, channels], [height, width], window) in sizes() {
        check_kernels(
            &[input, height, width],
            batch,
            Conv2d::new(channels, window),
        );
    }
}

#[test]
fn transposed_convolutions() {
    for (batch, [input, channels], [height, width], window) in sizes() {
        let mut transposed = ConvTranspose2d::new(channels, window);
        check_kernels(&[input, height, width], batch, transposed);
        let most = |stride: usize, dilation: usize| stride.max(dilation) - 1;
        transposed.output_padding = [
            most(window.stride.y, window.dilation.y),
            most(window.stride.x, window.dilation.x),
        ]
        .into();
        check_kernels(&[input, height, width], batch, transposed);
    }
}
