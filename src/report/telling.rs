//! Which units tell most about a run: what its events are about, then what its model is known by.
//!
//! The report and the window ask here, so that both show the same first. What is noise by its nature (a GAN's latent
//! vectors, the draws of a VAE) is never chosen.

use std::collections::BTreeMap;

use crate::diagnose::{Cause, Finding};
use crate::nn::Role;
use crate::tensor::TensorKind;
use crate::trace::{Event, EventKind, ModelDescription, Severity, Statistic, Subject, TraceEntry};
use crate::view::UnitsOf;

/// Statistics of the units of recorded tensors, the most telling first.
pub fn telling_units(
    model: &ModelDescription,
    entries: &[TraceEntry],
    events: &[Event],
) -> Vec<UnitsOf> {
    let mut choice = Choice {
        model,
        entries,
        chosen: Vec::new(),
    };
    let mut events: Vec<&Event> = events.iter().collect();
    events.sort_by_key(|event| (std::cmp::Reverse(event.severity), event.since, event.step));
    let (grave, light): (Vec<&Event>, Vec<&Event>) = events
        .into_iter()
        .partition(|event| event.severity >= Severity::Serious);
    grave.iter().for_each(|event| choice.event(event));
    choice.silent_layers(&light);
    choice.known_by_role();
    light.iter().for_each(|event| choice.event(event));
    choice.gradients();
    choice.rest();
    choice.chosen
}

/// The statistic of the units that shows a finding; `None` where it is about no tensor that is recorded unit by unit.
pub(super) fn units_of_finding(finding: &Finding, entries: &[TraceEntry]) -> Option<UnitsOf> {
    let (layer, quantity) = (finding.layer.as_ref()?, finding.quantity.as_ref()?);
    let kind = TensorKind::ALL
        .into_iter()
        .find(|kind| kind.name() == quantity)?;
    // Weights and updates are recorded by parameter.
    let weight = format!("{layer}.weight");
    let entry = entries.iter().find(|entry| {
        let is_own = entry.tensor == *layer || entry.tensor == weight;
        is_own && entry.kind == kind && entry.units > 1
    })?;
    let statistic = match (kind, finding.cause) {
        (TensorKind::Activation, Cause::DeadUnits) => Statistic::ZeroFraction,
        (TensorKind::Activation, Cause::LogVarianceDrift) => Statistic::Min,
        (TensorKind::Activation, Cause::LogVarianceOverflow | Cause::OutputActivation) => {
            Statistic::Max
        }
        (
            TensorKind::Activation,
            Cause::PosteriorCollapse
            | Cause::KlWeightTooHigh
            | Cause::ModeCollapse
            | Cause::NoiseIgnored
            | Cause::Bottleneck
            | Cause::ConstantInputs,
        ) => Statistic::Std,
        (TensorKind::Activation, _) => Statistic::Mean,
        _ => Statistic::Std,
    };
    Some(UnitsOf {
        tensor: entry.tensor.clone(),
        kind,
        statistic,
    })
}

struct Choice<'a> {
    model: &'a ModelDescription,
    entries: &'a [TraceEntry],
    chosen: Vec<UnitsOf>,
}

impl Choice<'_> {
    /// Adds a statistic of a tensor, if that is recorded, has units to compare and is not noise.
    fn add(&mut self, tensor: &str, kind: TensorKind, statistic: Statistic) {
        let is_recorded = self
            .entries
            .iter()
            .any(|entry| entry.tensor == tensor && entry.kind == kind && entry.units > 1);
        let units = UnitsOf {
            tensor: tensor.to_owned(),
            kind,
            statistic,
        };
        if is_recorded && !self.is_noise(tensor) && !self.chosen.contains(&units) {
            self.chosen.push(units);
        }
    }

    fn is_noise(&self, tensor: &str) -> bool {
        let layer = self.model.layer(tensor);
        layer.is_some_and(|layer| matches!(layer.role, Some(Role::Latent | Role::Input)))
    }

    fn event(&mut self, event: &Event) {
        match (&event.kind, &event.subject.group()) {
            // What all generated images have in common shows where the discriminator looks at them.
            (EventKind::DiversityCollapse, _) => self.on_generated_images(Statistic::Std),
            // Nothing reaches the generator any more.
            (EventKind::DiscriminatorSaturated, _) => {
                self.generator_gradient();
                self.on_generated_images(Statistic::Mean);
            }
            // Few dead units say little: layers that are silent as a whole are looked for by themselves.
            (EventKind::DeadUnit | EventKind::Revived, _) => {}
            (EventKind::Nonfinite, Subject::Tensor { tensor, kind }) => {
                self.add(tensor, *kind, Statistic::Max);
            }
            (EventKind::PosteriorCollapse, Subject::Tensor { tensor, kind }) => {
                self.add(tensor, *kind, Statistic::Std);
            }
            (_, Subject::Tensor { tensor, kind }) => self.add(tensor, *kind, Statistic::Mean),
            // What is about a scalar shows in its own chart.
            _ => {}
        }
    }

    /// Layers of which at least half of the units died.
    fn silent_layers(&mut self, events: &[&Event]) {
        let mut dead: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for event in events
            .iter()
            .filter(|event| event.kind == EventKind::DeadUnit)
        {
            if let Some(tensor) = event.subject.tensor_name() {
                let units = dead.entry(tensor).or_default();
                units.extend(event.subject.units());
            }
        }
        for entry in self.entries {
            let units = dead.get_mut(entry.tensor.as_str());
            if let Some(units) = units.filter(|_| entry.kind == TensorKind::Activation) {
                units.sort_unstable();
                units.dedup();
                if 2 * units.len() >= entry.units {
                    self.add(
                        &entry.tensor,
                        TensorKind::Activation,
                        Statistic::ZeroFraction,
                    );
                }
            }
        }
    }

    /// The tensors that people look at first in a model of this sort.
    fn known_by_role(&mut self) {
        let is_gan = self.model.with_role(Role::Score).is_some();
        for (role, statistic) in [
            (Role::LatentMean, Statistic::Std),
            (Role::LatentLogVariance, Statistic::Mean),
        ] {
            for layer in self.model.all_with_role(role) {
                self.add(&layer.name, TensorKind::Activation, statistic);
            }
        }
        if is_gan {
            self.on_generated_images(Statistic::Std);
            self.generator_gradient();
        } else if let Some(layer) = self.model.with_role(Role::Logits) {
            // Of a VAE these are pixels, of which there are too many to tell anything.
            if self.model.with_role(Role::LatentMean).is_none() {
                self.add(&layer.name, TensorKind::Activation, Statistic::Max);
                let before = layer.inputs.clone();
                before
                    .iter()
                    .for_each(|name| self.add(name, TensorKind::Activation, Statistic::Mean));
            }
        }
    }

    /// The first layer of a GAN's discriminator, on generated images.
    fn on_generated_images(&mut self, statistic: Statistic) {
        let mut graphs = self.model.graphs.iter();
        let Some(graph) = graphs.find(|graph| !graph.suffix.is_empty()) else {
            return;
        };
        let layers = graph.layers.iter();
        let names = layers.map(|layer| format!("{}{}", layer.name, graph.suffix));
        let recorded: Vec<String> = names
            .filter(|name| {
                self.entries.iter().any(|entry| {
                    entry.kind == TensorKind::Activation && entry.units > 1 && entry.tensor == *name
                })
            })
            .collect();
        if let Some(first) = recorded.first() {
            self.add(first, TensorKind::Activation, statistic);
        }
    }

    /// The gradient of the first layer that a GAN's generator has: all of it has come through the discriminator.
    fn generator_gradient(&mut self) {
        let graph = self.model.graphs.iter().find(|graph| {
            graph
                .layers
                .iter()
                .any(|layer| layer.role == Some(Role::Image))
        });
        let names = graph.into_iter().flat_map(|graph| &graph.layers);
        let names: Vec<&str> = names.map(|layer| layer.name.as_str()).collect();
        let entry = self.entries.iter().find(|entry| {
            entry.kind == TensorKind::Gradient
                && entry.units > 1
                && names.contains(&entry.tensor.as_str())
                && !self.is_noise(&entry.tensor)
        });
        if let Some(entry) = entry {
            self.add(&entry.tensor, TensorKind::Gradient, Statistic::Std);
        }
    }

    /// The gradient where it arrives last, which shows whether it vanishes or explodes on the way.
    fn gradients(&mut self) {
        let mut recorded = self
            .entries
            .iter()
            .filter(|entry| entry.kind == TensorKind::Gradient && entry.units > 1);
        if let Some(entry) = recorded.next() {
            self.add(&entry.tensor, TensorKind::Gradient, Statistic::Std);
        }
    }

    /// Every other activation, in the order of computation, and the updates.
    fn rest(&mut self) {
        for (kind, statistic) in [
            (TensorKind::Activation, Statistic::Mean),
            (TensorKind::Update, Statistic::Std),
        ] {
            for entry in self.entries.iter().filter(|entry| entry.kind == kind) {
                self.add(&entry.tensor, kind, statistic);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{GraphDescription, LayerDescription};

    fn entries(names: &[(&str, TensorKind)]) -> Vec<TraceEntry> {
        let entry = |(name, kind): &(&str, TensorKind)| TraceEntry {
            tensor: (*name).to_owned(),
            kind: *kind,
            units: 4,
            first_row: 0,
        };
        names.iter().map(entry).collect()
    }

    fn model(layers: &[(&str, Option<Role>)]) -> ModelDescription {
        let layer = |(name, role): &(&str, Option<Role>)| LayerDescription {
            name: (*name).to_owned(),
            kind: "dense".to_owned(),
            shape: vec![4],
            inputs: Vec::new(),
            parameters: Vec::new(),
            frozen: false,
            state: Vec::new(),
            properties: Vec::new(),
            range: Default::default(),
            role: *role,
        };
        ModelDescription {
            graphs: vec![GraphDescription {
                name: "generator".to_owned(),
                layers: layers.iter().map(layer).collect(),
                ..GraphDescription::default()
            }],
        }
    }

    fn first(units: &[UnitsOf]) -> (&str, TensorKind, Statistic) {
        (&units[0].tensor, units[0].kind, units[0].statistic)
    }

    #[test]
    fn a_gan_is_never_judged_by_its_noise() {
        let mut model = model(&[
            ("z", Some(Role::Latent)),
            ("generator.0", None),
            ("image", Some(Role::Image)),
            ("score", Some(Role::Score)),
        ]);
        model.graphs.extend(
            self::model(&[("discriminator.0", None), ("score", Some(Role::Score))])
                .graphs
                .into_iter()
                .map(|graph| GraphDescription {
                    suffix: "@generated".to_owned(),
                    ..graph
                }),
        );
        use TensorKind::{Activation, Gradient};
        let entries = entries(&[
            ("z", Activation),
            ("generator.0", Activation),
            ("discriminator.0@generated", Activation),
            ("z", Gradient),
            ("generator.0", Gradient),
        ]);
        let units = telling_units(&model, &entries, &[]);
        assert!(units.iter().all(|units| units.tensor != "z"));
        let collapse = Event::new(130, EventKind::DiversityCollapse, Subject::Run);
        let units = telling_units(&model, &entries, &[collapse]);
        assert_eq!(
            first(&units),
            ("discriminator.0@generated", Activation, Statistic::Std)
        );
        let saturated = Event::new(52, EventKind::DiscriminatorSaturated, Subject::Run);
        let units = telling_units(&model, &entries, &[saturated]);
        assert_eq!(first(&units), ("generator.0", Gradient, Statistic::Std));
    }

    #[test]
    fn the_first_nonfinite_tensor_comes_before_all_else() {
        use TensorKind::Activation;
        let model = model(&[
            ("mu", Some(Role::LatentMean)),
            ("logvar", Some(Role::LatentLogVariance)),
        ]);
        let entries = entries(&[
            ("encoder.1", Activation),
            ("mu", Activation),
            ("logvar", Activation),
        ]);
        let units = telling_units(&model, &entries, &[]);
        assert_eq!(first(&units), ("mu", Activation, Statistic::Std));
        let dead = (0..2).map(|unit| {
            Event::new(
                9,
                EventKind::DeadUnit,
                Subject::unit("encoder.1", Activation, unit),
            )
        });
        let nonfinite = Event::new(
            20,
            EventKind::Nonfinite,
            Subject::unit("logvar", Activation, 1),
        );
        let events: Vec<Event> = dead.chain([nonfinite]).collect();
        let units = telling_units(&model, &entries, &events);
        assert_eq!(first(&units), ("logvar", Activation, Statistic::Max));
        // Half of the layer is dead.
        assert_eq!(
            (units[1].tensor.as_str(), units[1].statistic),
            ("encoder.1", Statistic::ZeroFraction)
        );
    }
}
