//! The layers of a model in the order of computation, with what each reads: neighbors by a straight line, others by an arc.

use std::collections::HashMap;

use super::figures::Figure;
use super::html::{anchor, escape};
use crate::diagnose::Explanation;
use crate::nn::{GraphDescription, LayerDescription};
use crate::number::grouped;
use crate::trace::ModelDescription;

const ROW: usize = 44;
const BOX: usize = 30;
/// Between the left rim, where arcs are, and the boxes.
const LEFT: usize = 72;
const WIDTH: usize = 640;
/// Graphs of more layers are folded away.
const MOST_OPEN: usize = 14;

/// A section with a picture and a table of each graph.
pub(super) fn push_graphs(
    html: &mut String,
    model: &ModelDescription,
    explanation: &Explanation,
    figures: &[Figure],
) {
    if model.graphs.is_empty() {
        return;
    }
    html.push_str("<h2 id=\"graph\">Layers</h2>\n");
    for (index, graph) in model.graphs.iter().enumerate() {
        let name = match graph.name.as_str() {
            "" => "model",
            name => name,
        };
        let open = match index == 0 && graph.layers.len() <= MOST_OPEN {
            true => " open",
            false => "",
        };
        let count = graph.layers.len();
        html.push_str(&format!(
            "<details{open}><summary>{}: {count} layers</summary>\n",
            escape(name)
        ));
        push_picture(html, name, graph, explanation, figures);
        push_table(html, name, graph);
        html.push_str("</details>\n");
    }
}

fn push_picture(
    html: &mut String,
    name: &str,
    graph: &GraphDescription,
    explanation: &Explanation,
    figures: &[Figure],
) {
    let height = ROW * graph.layers.len();
    html.push_str(&format!(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Layers of {name}, drawn\">\
         <svg viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"group\" \
         aria-label=\"Layers of {name} in the order of computation\">\n",
        name = escape(name)
    ));
    let rows: HashMap<&str, usize> = graph
        .layers
        .iter()
        .enumerate()
        .map(|(row, layer)| (layer.name.as_str(), row))
        .collect();
    for (row, layer) in graph.layers.iter().enumerate() {
        for from in layer
            .inputs
            .iter()
            .filter_map(|input| rows.get(input.as_str()))
        {
            html.push_str(&edge(*from, row));
        }
    }
    for (row, layer) in graph.layers.iter().enumerate() {
        let found = explanation
            .findings
            .iter()
            .any(|finding| finding.layer.as_ref() == Some(&layer.name));
        let class = if found { "layer found" } else { "layer" };
        let top = row * ROW + (ROW - BOX) / 2;
        let text = format!(
            "<g class=\"{class}\"><rect x=\"{LEFT}\" y=\"{top}\" width=\"{}\" height=\"{BOX}\" rx=\"4\"/>\
             <text x=\"{}\" y=\"{baseline}\"><tspan class=\"name\">{}</tspan>  {}, {}</text></g>",
            WIDTH - LEFT - 2,
            LEFT + 12,
            escape(&layer.name),
            escape(&layer.kind),
            shape(layer),
            baseline = top + 20,
        );
        let recorded = format!("{}{}", layer.name, graph.suffix);
        let figure = figures
            .iter()
            .filter_map(|figure| figure.units.as_ref())
            .find(|units| units.tensor == recorded);
        match figure {
            Some(units) => html.push_str(&format!("<a href=\"#{}\">{text}</a>\n", anchor(units))),
            None => html.push_str(&format!("{text}\n")),
        }
    }
    html.push_str("</svg></div>\n");
}

/// From the layer of one row to that of a later one.
fn edge(from: usize, to: usize) -> String {
    let bottom = from * ROW + (ROW + BOX) / 2;
    let top = to * ROW + (ROW - BOX) / 2;
    if to == from + 1 {
        let x = LEFT + 40;
        return format!("<path class=\"edge\" d=\"M{x} {bottom}V{top}\"/>\n");
    }
    let (start, end) = (from * ROW + ROW / 2, to * ROW + ROW / 2);
    let reach = (12 + 8 * to.abs_diff(from)).min(LEFT - 6);
    let x = LEFT - reach;
    format!("<path class=\"edge\" d=\"M{LEFT} {start}C{x} {start} {x} {end} {LEFT} {end}\"/>\n")
}

/// The shape of what a layer gives for a sample.
fn shape(layer: &LayerDescription) -> String {
    if layer.shape.is_empty() {
        return "one number".to_owned();
    }
    let sides: Vec<String> = layer.shape.iter().map(usize::to_string).collect();
    sides.join(" \u{d7} ")
}

fn push_table(html: &mut String, name: &str, graph: &GraphDescription) {
    html.push_str(&format!(
        "<details><summary>The same as a table</summary>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" \
         aria-label=\"Layers of {name}\"><table>\n<tr><th scope=\"col\">layer</th><th scope=\"col\">kind</th>\
         <th scope=\"col\">shape</th><th scope=\"col\">reads</th><th scope=\"col\">parameters</th></tr>\n",
        name = escape(name)
    ));
    for layer in &graph.layers {
        let parameters: usize = layer
            .parameters
            .iter()
            .map(|parameter| parameter.shape.iter().product::<usize>())
            .sum();
        html.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            escape(&layer.name),
            escape(&layer.kind),
            shape(layer),
            escape(&layer.inputs.join(", ")),
            grouped(parameters as f64, 0)
        ));
    }
    html.push_str("</table></div></details>\n");
}
