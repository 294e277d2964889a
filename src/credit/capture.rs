//! The probe of a credit: what of each training step is needed later, copied before it is overwritten.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::CreditRequest;
use super::blocks::RowLayout;
use super::cut::{Cut, Stretch, has_spectral_norm, has_weights, units_of};
use super::spectral::SpectralLayer;
use super::unit_layer::UnitLayer;
use crate::gpu::{Buffer, Dispatch, Gpu};
use crate::nn::{
    Graph, NodeId, OptimizerState, ParameterStage, ParameterView, Parameters, Pass, Probe,
    ProbeEvent, vectors,
};
use crate::tensor::TensorKind;
use crate::{Error, Result};

/// What is kept of a training step, once it is built.
#[derive(Debug, Default)]
pub(super) struct Captured {
    /// Passes that train the layer, in their order.
    pub passes: Vec<CapturedPass>,
    /// The network of the layer.
    pub network: Option<CapturedNetwork>,
    /// Parameters of all other networks, as they are after a step.
    pub others: Vec<Parameters>,
    /// Layers with weights and their numbers of units, for messages.
    known: Vec<(String, usize)>,
}

/// What is kept of a pass.
#[derive(Debug)]
pub(super) struct CapturedPass {
    /// Its name among the passes of the model.
    pub name: String,
    /// The cut behind the layer.
    pub cut: Cut,
    /// The cuts behind the layers that further hops come to, in order of the graph.
    pub cuts_of_hops: Vec<Cut>,
    pub batch: usize,
    /// Values of the boundaries of the cuts and of the layers' inputs.
    pub values: HashMap<NodeId, Buffer<f32>>,
    /// Gradients of the successors.
    pub gradients: HashMap<NodeId, Buffer<f32>>,
}

/// What is kept of the network of the layer.
#[derive(Debug)]
pub(super) struct CapturedNetwork {
    /// As it is.
    pub live: Parameters,
    /// As it was at the start of the step.
    pub start: Parameters,
    /// As it was before the update: as at the start, with the state that the passes of the step have left.
    pub late: Parameters,
    pub state: OptimizerState,
    /// Whether no update moves the layer.
    pub is_frozen: bool,
    /// The layer with one unit.
    pub unit_layer: UnitLayer,
    pub layout: RowLayout,
    /// The norm of its weights, where it has one.
    pub spectral: Option<SpectralLayer>,
    pub rows: Vec<CapturedRow>,
    /// The rows of all units of all layers, where further hops need them.
    pub whole: Option<CapturedRow>,
}

/// What is kept of the row of a unit.
#[derive(Debug)]
pub(super) struct CapturedRow {
    /// Its gradient before any clipping.
    pub gradient: Buffer<f32>,
    /// Its values after the update, before the weights are clipped.
    pub updated: Buffer<f32>,
}

/// The probe. What it has captured is shared with whoever asked for it.
#[derive(Debug)]
pub(super) struct Capture {
    layer: String,
    units: Vec<usize>,
    /// Layers further back that are looked at, too, in hops.
    further_hops: usize,
    captured: Arc<Mutex<Captured>>,
}

impl Capture {
    /// A probe of what is asked.
    pub fn new(request: &CreditRequest) -> Self {
        Self {
            layer: request.layer.clone(),
            units: request.units.clone(),
            further_hops: request.further_hops(),
            captured: Arc::default(),
        }
    }

    /// Where it leaves what it captures.
    pub fn captured(&self) -> Arc<Mutex<Captured>> {
        self.captured.clone()
    }
}

/// The content of a lock that no panic can have left half-written.
pub(super) fn lock(captured: &Mutex<Captured>) -> MutexGuard<'_, Captured> {
    captured.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Captured {
    fn note_layers(&mut self, pass: &Pass<'_>) {
        for id in pass.graph.ids().filter(|&id| !pass.is_repeated(id)) {
            let node = pass.graph.node(id);
            let is_new = !self.known.iter().any(|(name, _)| *name == node.name);
            if is_new && has_weights(node) {
                self.known.push((node.name.clone(), units_of(node)[0]));
            }
        }
    }

    /// The pass, if the layer is trained in it.
    fn pass(
        &mut self,
        pass: &Pass<'_>,
        (layer, further_hops): (&str, usize),
        batch: usize,
    ) -> Option<&mut CapturedPass> {
        let known = self.passes.iter().position(|known| known.name == pass.name);
        let index = match known {
            Some(index) => index,
            None => {
                let layer = trained_layer(pass, layer)?;
                self.passes.push(CapturedPass {
                    name: pass.name.to_owned(),
                    cut: Cut::new(pass, layer),
                    cuts_of_hops: hop_layers(pass.graph, layer, further_hops)
                        .into_iter()
                        .map(|layer| Cut::new(pass, layer))
                        .collect(),
                    batch,
                    values: HashMap::new(),
                    gradients: HashMap::new(),
                });
                self.passes.len() - 1
            }
        };
        Some(&mut self.passes[index])
    }
}

/// The layer with weights of a name in a pass that trains it.
fn trained_layer(pass: &Pass<'_>, layer: &str) -> Option<NodeId> {
    let id = pass.graph.find(layer)?;
    (has_weights(pass.graph.node(id)) && !pass.is_repeated(id)).then_some(id)
}

/// The layers that hops come to, in order of the graph.
fn hop_layers(graph: &Graph, layer: NodeId, hops: usize) -> BTreeSet<NodeId> {
    let stretches = Stretch::of_hops(graph, layer, hops);
    stretches.into_iter().flat_map(|hop| hop.layers).collect()
}

impl CapturedPass {
    /// All cuts.
    fn cuts(&self) -> impl Iterator<Item = &Cut> {
        std::iter::once(&self.cut).chain(&self.cuts_of_hops)
    }
}

impl CapturedNetwork {
    fn new(
        gpu: &Gpu,
        view: &ParameterView<'_>,
        layer: NodeId,
        (units, has_hops): (&[usize], bool),
    ) -> Result<Self> {
        let (graph, live) = (view.graph, view.parameters);
        let node = graph.node(layer);
        let unit_layer = UnitLayer::new(gpu, node, &graph.node(node.inputs[0]).shape)?;
        let layout = RowLayout::new(graph, node, live, &unit_layer.parameters);
        let layout = layout.ok_or_else(|| {
            Error::input(
                format!("layer {}", node.name),
                "it has no weight and bias of its own",
                "choose a dense or convolutional layer",
            )
        })?;
        let row = unit_layer.parameters.slice("unit.weight");
        let spectral = SpectralLayer::new(graph, node, live).zip(row);
        let spectral = spectral.map(|(layer, row)| layer.of_unit(row.start..row.start + row.len));
        let row = |len: usize| {
            Ok(CapturedRow {
                gradient: gpu.buffer("row", len)?,
                updated: gpu.buffer("row", len)?,
            })
        };
        let rows = units.iter().map(|_| row(layout.len));
        let whole = has_hops.then(|| row(live.values.len())).transpose()?;
        Ok(Self {
            live: live.clone(),
            start: live.with_own_values(gpu, "parameters at the start")?,
            late: live.with_own_values(gpu, "parameters before the update")?,
            state: view.state.clone(),
            is_frozen: graph.is_frozen(layer),
            rows: rows.collect::<Result<_>>()?,
            whole,
            unit_layer,
            layout,
            spectral,
        })
    }
}

impl Probe for Capture {
    fn event(
        &mut self,
        gpu: &Gpu,
        pass: &Pass<'_>,
        event: ProbeEvent<'_>,
    ) -> Result<Vec<Dispatch>> {
        let ProbeEvent::TensorReady(view) = event else {
            return Ok(Vec::new());
        };
        let mut captured = lock(&self.captured);
        captured.note_layers(pass);
        let asked = (&self.layer[..], self.further_hops);
        let Some(captured) = captured.pass(pass, asked, view.batch) else {
            return Ok(Vec::new());
        };
        let is_gradient = view.kind == TensorKind::Gradient;
        let is_wanted = if is_gradient {
            let is_normed = || has_spectral_norm(pass.graph.node(view.node));
            let mut cuts = captured.cuts();
            cuts.any(|cut| {
                cut.successors.contains(&view.node) || (cut.layer == view.node && is_normed())
            })
        } else {
            captured
                .cuts()
                .any(|cut| view.node == cut.input || cut.boundary.contains(&view.node))
        };
        if !is_wanted {
            return Ok(Vec::new());
        }
        // Inputs stay as they are until the next batch, and labels must not pass through float32.
        let is_kept = pass.graph.node(view.node).operation.is_none();
        let (buffer, dispatches) = if is_kept {
            (view.buffer.clone(), Vec::new())
        } else {
            let copy = gpu.buffer("captured for credit", view.buffer.len())?;
            let range = 0..copy.len();
            let dispatch = vectors::copy(gpu, copy.binding(), view.buffer.binding(), range);
            (copy, vec![dispatch])
        };
        let target = if is_gradient {
            &mut captured.gradients
        } else {
            &mut captured.values
        };
        target.insert(view.node, buffer);
        Ok(dispatches)
    }

    fn parameters(&mut self, gpu: &Gpu, view: ParameterView<'_>) -> Result<Vec<Dispatch>> {
        let mut captured = lock(&self.captured);
        let layer = own_layer(&view, &self.layer);
        let Some(layer) = layer else {
            if view.stage == ParameterStage::StepStart {
                captured.others.push(view.parameters.clone());
            }
            return Ok(Vec::new());
        };
        if captured.network.is_none() {
            // A unit that is not there is refused once the step is built.
            let units = units_of(view.graph.node(layer))[0];
            if self.units.iter().any(|&unit| unit >= units) {
                return Ok(Vec::new());
            }
            let asked = (&self.units[..], self.further_hops > 0);
            captured.network = Some(CapturedNetwork::new(gpu, &view, layer, asked)?);
        }
        let Some(network) = &captured.network else {
            return Ok(Vec::new());
        };
        let (live, layout) = (&network.live, &network.layout);
        let rows = self.units.iter().zip(&network.rows);
        let copy = |to: &Buffer<f32>, from: &Buffer<f32>| {
            vectors::copy(gpu, to.binding(), from.binding(), 0..from.len())
        };
        let keep = |copied: &Parameters| copy(&copied.values, &live.values);
        let whole = network.whole.iter();
        Ok(match view.stage {
            ParameterStage::StepStart => vec![keep(&network.start)],
            ParameterStage::BeforeUpdate => rows
                .flat_map(|(&unit, row)| layout.gather(gpu, unit, &live.gradients, &row.gradient))
                .chain([keep(&network.late)])
                .chain(whole.map(|whole| copy(&whole.gradient, &live.gradients)))
                .collect(),
            ParameterStage::AfterUpdate => rows
                .flat_map(|(&unit, row)| layout.gather(gpu, unit, &live.values, &row.updated))
                .chain(whole.map(|whole| copy(&whole.updated, &live.values)))
                .collect(),
        })
    }

    fn check(&self) -> Result<()> {
        let captured = lock(&self.captured);
        let known = captured.known.iter().find(|(name, _)| *name == self.layer);
        let Some((_, units)) = known else {
            let names: Vec<&str> = captured.known.iter().map(|(name, _)| &name[..]).collect();
            return Err(Error::usage(
                format!("--layer {}", self.layer),
                "the model has no layer with weights of that name",
                format!("choose one of: {}", names.join(", ")),
            ));
        };
        match self.units.iter().find(|unit| *unit >= units) {
            Some(unit) => Err(Error::usage(
                format!("--unit {unit}"),
                format!("{} has {units} units", self.layer),
                format!("choose from 0 to {}", units - 1),
            )),
            None => Ok(()),
        }
    }
}

/// The layer in the graph of a view, if its parameters are among those of the view.
fn own_layer(view: &ParameterView<'_>, layer: &str) -> Option<NodeId> {
    let graph: &Graph = view.graph;
    let id = graph.find(layer)?;
    let node = graph.node(id);
    let &weight = node.parameters.first()?;
    let name = &graph.parameters()[weight].name;
    (has_weights(node) && view.parameters.contains(name)).then_some(id)
}
