//! Inputs and labels: their range, their variety, and whether they belong to each other.

use super::step_size::replaces_at_first;
use crate::data::Scaling;
use crate::diagnose::data_facts::DataFacts;
use crate::diagnose::facts::{Facts, Family};
use crate::diagnose::finding::{Cause, Evidence, Finding};
use crate::diagnose::label_facts::LabelFacts;
use crate::diagnose::symptoms::Symptoms;
use crate::models::Layer;
use crate::nn::{Property, Role};
use crate::number::short;
use crate::tensor::TensorKind;
use crate::trace::{EventKind, Severity};

/// Inputs of a larger root mean square than this are not scaled; standardized ones have 1.
const UNSCALED: f64 = 6.0;
/// Inputs of a smaller root mean square than this are next to zero.
const FAINT: f64 = 0.02;
/// A share of samples beyond `[0, 1]` from which the scale is wrong and not the samples.
const MOST: f64 = 0.5;
/// The share of the largest class from which answering it always looks like success.
const IMBALANCED: f64 = 0.75;
/// A share of wrong labels that is worth a word; images of digits look like 0.12.
const SOME_WRONG: f64 = 0.22;
/// A share of wrong labels from which on they are what a model cannot get over.
const MANY_WRONG: f64 = 0.3;
/// Steps that a first pass over the samples takes at least to show whether there is something to learn.
const LEAST_EPOCH: usize = 40;
/// Data sets with fewer different samples than this are learned by heart.
const FEW: usize = 64;
/// A loss of held-out samples of so many times its least has risen ...
const RISEN: f64 = 1.25;
/// ... and of so many times where that of the training samples is this share of it, so that they are known by heart.
const RISEN_SLOWLY: f64 = 1.05;
const BY_HEART: f64 = 0.02;

pub(crate) fn find(facts: &Facts<'_>, symptoms: &Symptoms) -> Vec<Finding> {
    let mut findings = Vec::new();
    let constant = constant_inputs(facts);
    if constant.is_none() {
        findings.extend(input_scale(facts, symptoms));
    }
    findings.extend(constant);
    findings.extend(validation(facts));
    if let Some(data) = &facts.data {
        findings.extend(beyond_range(facts, data, symptoms));
        findings.extend(imbalance(facts, data));
        findings.extend(labels(facts, data, symptoms));
        findings.extend(order(facts, data));
        findings.extend(few(facts, data));
    }
    findings.extend(augmentation(facts, symptoms));
    findings
}

/// How bad a property of the data is: serious where the run shows it.
fn severity(symptoms: &Symptoms) -> Severity {
    if symptoms.nonfinite.is_some() {
        Severity::Fatal
    } else if symptoms.any() || symptoms.learned_little {
        Severity::Serious
    } else {
        Severity::Warning
    }
}

/// The tensor that the first layer with weights reads, as its name and recorded root mean square at the start; that of
/// the samples where it is the input itself, which is not recorded.
fn first_input(facts: &Facts<'_>) -> Option<(String, f64)> {
    let weighted = facts.weighted();
    let input = facts.role(Role::Input)?;
    let reads_input = |name: &str| {
        let mut name = name.to_owned();
        // Through layers without weights, such as a scale or a new shape.
        for _ in 0..16 {
            if name == input.name {
                return true;
            }
            let Some(layer) = facts.run.model().layers().find(|layer| layer.name == name) else {
                return false;
            };
            if !layer.parameters.is_empty() || layer.inputs.len() != 1 {
                return false;
            }
            name.clone_from(&layer.inputs[0]);
        }
        false
    };
    // In a GAN the discriminator reads generated images in one graph and the data in another.
    let graphs = facts.run.model().graphs.iter();
    let first = graphs.flat_map(|graph| &graph.layers).find(|layer| {
        weighted.iter().any(|known| known.name == layer.name)
            && layer.inputs.first().is_some_and(|from| reads_input(from))
    })?;
    let from = first.inputs.first()?;
    let rms = match facts.output(from) {
        Some(series) => series.rms.first().copied()?,
        None => facts.data.as_ref()?.rms,
    };
    Some((from.clone(), rms))
}

fn input_scale(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    let (name, rms) = first_input(facts)?;
    let is_normalized = facts
        .run
        .model()
        .layer(&name)
        .is_some_and(|layer| layer.has(Property::Normalization));
    if is_normalized || (FAINT..=UNSCALED).contains(&rms) || !rms.is_finite() {
        return None;
    }
    let cause = if rms > UNSCALED {
        Cause::UnscaledInputs
    } else {
        Cause::FaintInputs
    };
    // Where a run is healthy all the same, an odd scale is worth a word and no more.
    let finding = Finding::new(cause, severity(symptoms), 0.92)
        .layer(&name, "activation")
        .since(0)
        .evidence(
            Evidence::new(format!(
                "The root mean square of the values that the first layer reads ({name}) is {}; that of images in [0, 1] is 0.2 to 0.6, that of standardized inputs 1.",
                short(rms)
            ))
            .with("rms", rms),
        );
    let set = facts.scenario.as_ref().and_then(|scenario| {
        use crate::diagnose::fixes::{layer, replace_layers, with_key};
        let is_affine = matches!(layer(scenario, &name), Some(Layer::Affine { .. }));
        is_affine.then(|| {
            replace_layers(scenario, std::slice::from_ref(&name), |old| {
                vec![with_key(&with_key(old, "scale", 1.0), "shift", 0.0)]
            })
        })?
    });
    let set = set.unwrap_or_else(|| unscaled(facts));
    Some(finding.fix(set, "scale the inputs to [0, 1]"))
}

/// The settings that leave the samples in `[0, 1]`, where the scenario has moved them from there.
fn unscaled(facts: &Facts<'_>) -> Vec<String> {
    let scaling = facts
        .scenario
        .as_ref()
        .map(|scenario| scenario.data.scaling());
    match scaling.unwrap_or_default() {
        same if same == Scaling::default() => Vec::new(),
        _ => vec!["data.scale=1.0".to_owned(), "data.shift=0.0".to_owned()],
    }
}

/// No sample differs from another, or none of what differs reaches the first layer.
fn constant_inputs(facts: &Facts<'_>) -> Option<Finding> {
    let data = facts.data.as_ref();
    let (text, variance) = match data {
        Some(data) if data.count > 1 && data.variance < 1e-9 => {
            let text = format!(
                "The {} samples are all the same: {} of them differ.",
                data.count,
                data.unique.saturating_sub(1)
            );
            (text, data.variance)
        }
        _ => {
            let input = facts.role(Role::Input)?;
            let graphs = facts.run.model().graphs.iter();
            let graph = graphs
                .into_iter()
                .find(|graph| graph.layer(&input.name).is_some())?;
            let first = graph
                .consumers(&input.name)
                .find(|layer| !layer.parameters.is_empty())?;
            let weight = facts.tensor(&format!("{}.weight", first.name), TensorKind::Weight)?;
            let series = facts.output(&first.name)?;
            // Over the positions of a feature map even a constant image varies at its padded rim; a batch of one never does.
            let scenario = facts.scenario.as_ref();
            let has_batch = scenario.is_none_or(|scenario| scenario.train.batch > 1);
            let is_constant = has_batch
                && first.shape.len() == 1
                && series.std.first()? < &(1e-6 * series.rms.first()?)
                && *weight.rms.first()? > 0.0;
            if !is_constant {
                return None;
            }
            (
                format!(
                    "No unit of {} differed from sample to sample at the first step.",
                    first.name
                ),
                0.0,
            )
        }
    };
    Some(
        Finding::new(Cause::ConstantInputs, Severity::Serious, 0.98)
            .since(0)
            .evidence(Evidence::new(text).with("variance", variance))
            .fix([], "look at the samples and the code that reads them"),
    )
}

/// Values beyond [0, 1] where the loss needs probabilities, or a few samples that are out of line with the others.
fn beyond_range(facts: &Facts<'_>, data: &DataFacts, symptoms: &Symptoms) -> Option<Finding> {
    let share = data.beyond.len() as f64 / data.count.max(1) as f64;
    let needs_probabilities = facts
        .run
        .model()
        .layers()
        .any(|layer| layer.has(Property::Bernoulli));
    let few = !data.outliers.is_empty() && share < MOST;
    if few {
        let spikes = facts
            .events
            .iter()
            .filter(|event| event.kind == EventKind::Spike)
            .count();
        let hurt = spikes > 0 || symptoms.any();
        let severity = if hurt {
            self::severity(symptoms).max(Severity::Serious)
        } else {
            Severity::Warning
        };
        let mut finding = Finding::new(Cause::CorruptSamples, severity, 0.95)
            .title(format!("{} of the {} samples are corrupt", data.outliers.len(), data.count))
            .evidence(
                Evidence::new(format!(
                    "{} of {} samples have values far beyond those of the others (the data reach {}): {}.",
                    data.outliers.len(),
                    data.count,
                    short(data.range[1]),
                    listed(&data.outliers)
                ))
                .with("samples", data.outliers.len() as f64)
                .with("greatest", data.range[1]),
            );
        finding.samples.clone_from(&data.outliers);
        if spikes > 0 {
            finding = finding.evidence(
                Evidence::new(format!("The loss had {spikes} spikes."))
                    .with("spikes", spikes as f64),
            );
        }
        return Some(corrupt_fix(finding, facts));
    }
    if share < MOST || !needs_probabilities {
        return None;
    }
    let below = facts
        .run
        .scalars()
        .get("loss")?
        .iter()
        .find(|(_, loss)| *loss < 0.0)
        .map(|(step, _)| *step);
    let mut finding = Finding::new(
        Cause::UnscaledInputs,
        if below.is_some() {
            self::severity(symptoms).max(Severity::Serious)
        } else {
            self::severity(symptoms)
        },
        0.96,
    )
    .title("the inputs lie beyond [0, 1], where a binary cross-entropy has no lower bound")
    .since(0)
    .evidence(
        Evidence::new(format!(
            "{:.0} % of the samples have values beyond [0, 1]; the greatest is {}.",
            100.0 * share,
            short(data.range[1])
        ))
        .with("share", share)
        .with("greatest", data.range[1]),
    );
    if let Some(step) = below {
        finding = finding.evidence(Evidence::new(format!(
            "The loss fell below zero at step {step}, which no loss of probabilities can."
        )));
    }
    Some(corrupt_fix(finding, facts))
}

fn corrupt_fix(finding: Finding, facts: &Facts<'_>) -> Finding {
    let on_purpose = facts
        .scenario
        .as_ref()
        .is_some_and(|scenario| scenario.data.corrupt.is_some());
    let set = on_purpose.then(|| "data.corrupt={ samples = [], scale = 1.0 }".to_owned());
    if finding.cause == Cause::UnscaledInputs && set.is_none() {
        return finding.fix(unscaled(facts), "scale the samples to [0, 1]");
    }
    finding.fix(set, "repair or leave out these samples")
}

fn listed(samples: &[u32]) -> String {
    let shown: Vec<String> = samples.iter().take(8).map(u32::to_string).collect();
    match samples.len() {
        few if few <= 8 => shown.join(", "),
        many => format!("{} and {} more", shown.join(", "), many - 8),
    }
}

fn imbalance(facts: &Facts<'_>, data: &DataFacts) -> Option<Finding> {
    let (class, share) = data.largest_class()?;
    let accuracy = facts.late("accuracy")?;
    if facts.family != Family::Classifier || share < IMBALANCED || data.classes.len() < 2 {
        return None;
    }
    let answers_one = accuracy <= share + 0.25 * (1.0 - share);
    let severity = if answers_one {
        Severity::Serious
    } else {
        Severity::Warning
    };
    Some(
        Finding::new(Cause::ClassImbalance, severity, 0.96)
            .title(format!("{:.1} % of the samples are of class {class}", 100.0 * share))
            .since(0)
            .evidence(
                Evidence::new(format!(
                    "{} of {} samples are of class {class}; the accuracy of {:.3} at the end is what always answering it gives.",
                    data.classes[class], data.count, accuracy
                ))
                .with("share", share)
                .with("accuracy", accuracy),
            )
            .fix([], "balance the classes"),
    )
}

/// Labels that do not belong to the inputs: here and there, or all of them.
fn labels(facts: &Facts<'_>, data: &DataFacts, symptoms: &Symptoms) -> Option<Finding> {
    let labels = data.labels?;
    if facts.family != Family::Classifier || symptoms.diverged() || data.variance < 1e-9 {
        return None;
    }
    if let Some(wrong) = labels.wrong_share() {
        return some_labels(facts, labels, wrong);
    }
    // Where the first pass over the samples, which cannot have learned them by heart, has learned something, labels say it.
    let hurt = symptoms.learned_nothing || symptoms.learned_little;
    if !hurt || !labels.are_at_chance() || first_epoch(facts)? > 0.03 {
        return None;
    }
    let evidence = Evidence::new(format!(
        "Samples that look alike have the same label in {:.0} % of cases; by chance they would have it in {:.0} %.",
        100.0 * labels.label_agrees,
        100.0 * labels.by_chance
    ));
    let loss = Evidence::new(format!(
        "The loss ended at {}, that of the classes' frequencies alone is {}.",
        short(facts.late("loss")?),
        short(facts.chance()?)
    ));
    // Of weights that were replaced at once nothing could be learned, whatever the labels are.
    let (severity, confidence) = if replaces_at_first(facts) {
        (Severity::Warning, 0.4)
    } else {
        (Severity::Serious, 0.85)
    };
    Some(
        Finding::new(Cause::LabelNoise, severity, confidence)
            .since(0)
            .evidence(
                evidence
                    .with("agreement", labels.label_agrees)
                    .with("by_chance", labels.by_chance),
            )
            .evidence(loss.with("loss", facts.late("loss")?))
            .fix(
                [],
                "check that images and labels are read in the same order",
            ),
    )
}

/// Labels of which some are wrong, in data whose classes can be told by their looks.
fn some_labels(facts: &Facts<'_>, labels: LabelFacts, wrong: f64) -> Option<Finding> {
    // A model that is right more often than labels are said to be shows that these are not wrong.
    let accuracy = facts.late("accuracy")?;
    if wrong < SOME_WRONG || accuracy > 1.0 - wrong + 0.15 {
        return None;
    }
    let severity = if wrong < MANY_WRONG {
        Severity::Warning
    } else {
        Severity::Serious
    };
    let evidence = Evidence::new(format!(
        "Two votes of different neighbors on the class of a sample agree in {:.0} % of cases, and with its own label in \
         {:.0} %; the accuracy was {accuracy:.2} at the end.",
        100.0 * labels.votes_agree,
        100.0 * labels.label_agrees,
    ));
    Some(
        Finding::new(Cause::LabelNoise, severity, 0.85)
            .title(format!(
                "about {:.0} % of the labels are wrong",
                100.0 * wrong
            ))
            .since(0)
            .evidence(
                evidence
                    .with("votes_agree", labels.votes_agree)
                    .with("label_agrees", labels.label_agrees)
                    .with("accuracy", accuracy),
            )
            .fix(
                [],
                "look at samples whose label differs from that of others that look like them",
            ),
    )
}

/// How much of what there is to learn was learned at the end of the first pass over the samples; nothing where that was too
/// short to learn anything in, whatever the labels are.
fn first_epoch(facts: &Facts<'_>) -> Option<f64> {
    let scenario = facts.scenario.as_ref()?;
    let steps = facts.data.as_ref()?.count / scenario.train.batch.max(1);
    if steps < LEAST_EPOCH {
        return None;
    }
    let losses = facts.scalar("loss");
    let of_epoch = &losses[..losses.len().min(steps.max(1))];
    let last = &of_epoch[of_epoch.len() - of_epoch.len().div_ceil(4)..];
    let mean = last.iter().map(|(_, loss)| loss).sum::<f64>() / last.len().max(1) as f64;
    Some(1.0 - mean / facts.chance()?)
}

/// Batches of one class after the other.
fn order(facts: &Facts<'_>, data: &DataFacts) -> Option<Finding> {
    let scenario = facts.scenario.as_ref()?;
    if scenario.data.shuffle
        || data.label_run < scenario.train.batch as f64 / 2.0
        || data.label_run < 8.0
        || !scenario.needs_labels()
    {
        return None;
    }
    Some(
        Finding::new(Cause::UnshuffledData, Severity::Serious, 0.94)
            .since(0)
            .evidence(
                Evidence::new(format!(
                    "Batches of {} follow the file, in which {} samples of the same class stand side by side on average.",
                    scenario.train.batch,
                    short(data.label_run)
                ))
                .with("label_run", data.label_run),
            )
            .fix(["data.shuffle=true".to_owned()], "shuffle the samples"),
    )
}

fn few(facts: &Facts<'_>, data: &DataFacts) -> Option<Finding> {
    if data.unique >= FEW || data.variance < 1e-9 || data.count == 0 {
        return None;
    }
    let epochs = facts.scenario.as_ref().map_or(0.0, |scenario| {
        facts.steps() as f64 * scenario.train.batch as f64 / data.count as f64
    });
    let severity = if epochs > 5.0 {
        Severity::Serious
    } else {
        Severity::Warning
    };
    Some(
        Finding::new(Cause::TooLittleData, severity, 0.8)
            .title(format!(
                "only {} samples differ from each other",
                data.unique
            ))
            .since(0)
            .evidence(
                Evidence::new(format!(
                    "Of {} samples {} are different; the run saw each about {} times.",
                    data.count,
                    data.unique,
                    short(epochs)
                ))
                .with("unique", data.unique as f64)
                .with("epochs", epochs),
            )
            .fix([], "train on more data"),
    )
}

fn augmentation(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    let shift = facts.scenario.as_ref()?.data.augment?.shift;
    let input = facts.role(Role::Input)?;
    let side = *input.shape.iter().rev().take(2).min()?;
    if (shift as f64) < 0.35 * side as f64 {
        return None;
    }
    let hurt = symptoms.learned_nothing || symptoms.learned_little || symptoms.posterior_collapsed;
    let severity = if hurt {
        Severity::Serious
    } else {
        Severity::Warning
    };
    Some(
        Finding::new(Cause::AugmentationTooStrong, severity, 0.85)
            .since(0)
            .evidence(
                Evidence::new(format!(
                    "Images of {side} pixels are moved by up to {shift} along each axis."
                ))
                .with("shift", shift as f64),
            )
            .fix(
                ["data.augment.shift=2".to_owned()],
                "move images by a few pixels only",
            ),
    )
}

/// Training goes on to improve while held-out samples get worse.
fn validation(facts: &Facts<'_>) -> Option<Finding> {
    let held_out = facts.scalar("validation/loss");
    let finite: Vec<(u64, f64)> = held_out
        .iter()
        .copied()
        .filter(|(_, loss)| loss.is_finite())
        .collect();
    let best = finite.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let last = finite.last()?;
    let train = facts.late("loss")?;
    if finite.len() < 4 || best.1 <= 0.0 {
        return None;
    }
    let got_worse = last.1 > RISEN * best.1 && train < 0.7 * last.1;
    // Samples that were seen cost next to nothing, and those that were not seen slowly ever more.
    let by_heart = last.1 > RISEN_SLOWLY * best.1 && train > 0.0 && train < BY_HEART * last.1;
    if !got_worse && !by_heart {
        return None;
    }
    Some(
        Finding::new(Cause::Overfitting, Severity::Serious, 0.8)
            .since(best.0)
            .evidence(
                Evidence::new(format!(
                    "The loss of held-out samples rose from {} at step {} to {}, while that of the training samples is {}.",
                    short(best.1),
                    best.0,
                    short(last.1),
                    short(train)
                ))
                .with("best", best.1)
                .with("last", last.1)
                .with("training", train),
            )
            .fix([format!("train.steps={}", best.0.max(1))], "stop earlier, or train on more data or a smaller model"),
    )
}
