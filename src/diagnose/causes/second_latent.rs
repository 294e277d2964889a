//! A second latent layer that carries nothing, while the first one does: what training a VAE of two layers ends in more often
//! than not (Burda et al. 2016, Sønderby et al. 2016). The images do not suffer, so it is no failure of the run.

use super::vae::{HEAVY, divergence_weight};
use crate::diagnose::facts::Facts;
use crate::diagnose::finding::{Cause, Evidence, Finding};
use crate::diagnose::fixes;
use crate::diagnose::symptoms::{STEPS_TO_LEARN, Symptoms, latent_use};
use crate::nn::{LayerDescription, Role};
use crate::number::short;
use crate::tensor::TensorKind::Activation;
use crate::trace::{Severity, Statistic};

/// The finding, where the layer is there and unused at the end.
pub(crate) fn find(facts: &Facts<'_>, symptoms: &Symptoms) -> Option<Finding> {
    if symptoms.diverged() || symptoms.posterior_collapsed || facts.steps() < STEPS_TO_LEARN {
        return None;
    }
    let mut means = facts.run.model().all_with_role(Role::LatentMean);
    let (first, second) = (means.next()?, means.next()?);
    let (used_of_first, of_first) = latent_use(facts, first)?;
    let (used, units) = latent_use(facts, second)?;
    if used > 0 {
        return None;
    }
    let spread = format!(
        "None of the {units} units of {} varies over the batch at the end, while {used_of_first} of {of_first} of {} do{}.",
        second.name,
        first.name,
        divergences(facts)
    );
    let mut evidence = Evidence::new(spread)
        .with("used", 0.0)
        .with("used_of_first", used_of_first as f64)
        .command(format!(
            "trainscope sample {} --tensor {} --quantity std --keep {units}",
            facts.folder(),
            second.name
        ));
    if let Some(own) = facts.late("second_kl_divergence") {
        evidence = evidence.with("second_kl_divergence", own);
    }
    let series = facts.output(&second.name)?;
    let since = series.since(&series.std, |std| std < 0.1).unwrap_or(0);
    let finding = match dead_above(facts, symptoms, first) {
        Some((layer, since)) => of_dead_units(facts, layer, since),
        None => of_divergence(facts),
    };
    let finding = finding
        .layer(&second.name, "activation")
        .statistic(Statistic::Std)
        .since(since)
        .evidence(evidence);
    Some(match prior(facts) {
        Some(prior) => finding.evidence(prior),
        None => finding,
    })
}

/// The two divergences at the end, as the rest of a sentence.
fn divergences(facts: &Facts<'_>) -> String {
    let late = ["first_kl_divergence", "second_kl_divergence"].map(|name| facts.late(name));
    match late {
        [Some(first), Some(second)] => format!(
            "; KL(q(z2 | z1) || N(0, 1)) is {}, and KL(q(z1 | x) || p(z1 | z2)) is {}",
            short(second),
            short(first)
        ),
        _ => String::new(),
    }
}

/// What the first layer's prior makes of the second.
fn prior(facts: &Facts<'_>) -> Option<Evidence> {
    let prior = facts.role(Role::PriorMean)?;
    let spread = facts
        .run
        .series(&prior.name, Activation, Statistic::Std)
        .ok()?;
    let most = spread.last().fold(f32::NAN, f32::max);
    let text = format!(
        "The means of p(z1 | z2) vary by at most {} over the batch.",
        short(most.into())
    );
    let command = format!(
        "trainscope sample {} --tensor {} --quantity std --keep 8",
        facts.folder(),
        prior.name
    );
    let evidence = Evidence::new(text).with("prior_spread", most.into());
    Some(evidence.command(command))
}

/// A dead layer between the two latent layers, with the step since which it is.
fn dead_above<'s>(
    facts: &Facts<'_>,
    symptoms: &'s Symptoms,
    first: &LayerDescription,
) -> Option<(&'s str, u64)> {
    let graphs = &facts.run.model().graphs;
    let graph = graphs
        .iter()
        .find(|graph| graph.layer(&first.name).is_some())?;
    let prior = graph.with_role(Role::PriorMean)?;
    let below = graph.sources(&first.name);
    let between = graph.sources(&prior.name).into_iter();
    let between: Vec<&str> = between
        .map(|layer| layer.name.as_str())
        .filter(|name| below.iter().all(|known| known.name != *name))
        .collect();
    let mut dead = symptoms.dead_layers.iter();
    dead.find(|(layer, _)| between.contains(&layer.as_str()))
        .map(|(layer, since)| (layer.as_str(), *since))
}

fn of_dead_units(facts: &Facts<'_>, layer: &str, since: u64) -> Finding {
    let set = facts.scenario.as_ref().and_then(|scenario| {
        let named = [layer.to_owned()];
        fixes::replace_layers(scenario, &named, |_| vec![fixes::word("leaky_relu")])
    });
    let text = format!(
        "Nearly all units of {layer} give nothing but zeros since step {since}, and no gradient passes these."
    );
    let command = format!(
        "trainscope sample {} --tensor {layer} --quantity zero_fraction --keep 8",
        facts.folder()
    );
    Finding::new(Cause::DeadUnits, Severity::Warning, 0.6)
        .title(format!(
            "the second latent layer is not used: the units of {layer} are dead"
        ))
        .evidence(Evidence::new(text).command(command))
        .fix(
            set.unwrap_or_default(),
            "use \"leaky_relu\" there, or a smaller learning rate",
        )
}

/// What holds the layer down where it could learn.
fn of_divergence(facts: &Facts<'_>) -> Finding {
    let weight = divergence_weight(facts).unwrap_or(1.0);
    if weight > HEAVY {
        return Finding::new(Cause::KlWeightTooHigh, Severity::Warning, 0.6)
            .title(format!(
                "the second latent layer is not used, and the KL divergence weighs {}",
                short(weight)
            ))
            .fix(
                ["model.beta=1.0".to_owned()],
                "weigh the KL divergence with 1 or less",
            );
    }
    let finding = Finding::new(Cause::PosteriorCollapse, Severity::Warning, 0.5)
        .title("the second latent layer is not used");
    let graphs = facts.run.model().graphs.iter();
    let mut terms = graphs.flat_map(|graph| &graph.losses);
    let is_annealed = terms.any(|term| term.name == "annealed_divergence");
    match facts.scenario.as_ref().filter(|_| !is_annealed) {
        Some(scenario) => finding.fix(
            [format!("model.beta_warmup={}", scenario.train.steps / 2)],
            "let the weight of the KL divergence grow from 0, or leave the layer out",
        ),
        None => finding.fix(
            [],
            "make the first latent layer narrower, or leave the second one out",
        ),
    }
}
