//! The balance of a GAN's two networks, and what its generator makes of its noise.

use crate::diagnose::facts::{Facts, Family, Network};
use crate::diagnose::finding::{Cause, Evidence, Finding};
use crate::diagnose::fixes;
use crate::diagnose::symptoms::Symptoms;
use crate::models::GanConfig;
use crate::nn::losses::GanObjective;
use crate::nn::{Property, Role};
use crate::number::short;
use crate::trace::{Severity, Statistic};
use crate::train::{ModelConfig, least_loss};

/// The loss of a discriminator that guesses, with a cross-entropy.
const GUESSING: f64 = 2.0 * std::f64::consts::LN_2;
/// The share of that loss below which a discriminator has nothing left to learn.
const CERTAIN: f64 = 0.03;
/// Images that vary less than this share of what the data do are all alike.
const ALIKE: f64 = 0.01;
/// Scores of a critic beyond this are bounded by nothing.
const UNBOUNDED: f64 = 300.0;

pub(crate) fn find(facts: &Facts<'_>, symptoms: &Symptoms) -> Vec<Finding> {
    if facts.family != Family::Gan {
        return Vec::new();
    }
    let config = facts
        .scenario
        .as_ref()
        .and_then(|scenario| match scenario.model() {
            ModelConfig::Gan(gan) => Some(gan),
            _ => None,
        });
    let mut findings = Vec::new();
    if let Some(config) = &config {
        findings.extend(critic(facts, config));
    }
    let bounded = facts
        .role(Role::Score)
        .is_some_and(|score| score.range.is_bounded());
    if facts.steps() >= 60 {
        findings.extend(too_strong(facts));
        if !bounded {
            findings.extend(too_weak(facts));
        }
        findings.extend(alike(facts, symptoms));
    }
    findings
}

/// Whether the discriminator's loss is a cross-entropy, which comes near 0 only where it is certain.
fn has_cross_entropy(facts: &Facts<'_>) -> bool {
    let mut layers = facts.run.model().layers();
    layers.any(|layer| layer.has(Property::CrossEntropy))
}

/// A Wasserstein critic without a bound, or with one that is too tight.
fn critic(facts: &Facts<'_>, config: &GanConfig) -> Option<Finding> {
    if config.objective != GanObjective::Wasserstein {
        return None;
    }
    let score = facts.role(Role::Score)?;
    let most = facts.output(&score.name)?.magnitude();
    let mut layers = facts.run.model().layers();
    let has_spectral_norm = layers.any(|layer| layer.has(Property::SpectralNorm));
    match config.weight_clip {
        None if config.gradient_penalty.is_none() && !has_spectral_norm => {
            let severity = if most > UNBOUNDED {
                Severity::Serious
            } else {
                Severity::Warning
            };
            let since = facts.output(&score.name).and_then(|series| {
                let ends = series.min.iter().zip(&series.max);
                let far = ends
                    .map(|(low, high)| low.abs().max(high.abs()))
                    .position(|far| far > UNBOUNDED)?;
                series.steps.get(far).copied()
            });
            Some(
                Finding::new(Cause::WeightClipMissing, severity, 0.96)
                    .layer(&score.name, "activation")
                    .since(since.unwrap_or(0))
                    .evidence(
                        Evidence::new(format!(
                            "Wasserstein's objective needs a critic of bounded slope, and no weight_clip, gradient_penalty or spectral_norm bounds this one; its scores reached {}.",
                            short(most)
                        ))
                        .with("score", most)
                        .command(format!("trainscope sample {} --tensor {} --scale symlog --keep 4", facts.folder(), score.name)),
                    )
                    .fix(["model.weight_clip=0.03".to_owned()], "clip the critic's weights, such as to 0.03")
                    .fix(
                        ["model.gradient_penalty=10.0".to_owned()],
                        "hold the critic's slope near 1 with a gradient penalty of 10",
                    ),
            )
        }
        Some(clip) if facts.steps() >= 60 => {
            let clip = f64::from(clip);
            let gap = (facts.late("real_score")? - facts.late("fake_score")?).abs();
            (clip <= 0.003 && gap < 0.02).then(|| {
                Finding::new(Cause::WeightClipTooSmall, Severity::Serious, 0.9)
                    .layer(&score.name, "activation")
                    .since(0)
                    .evidence(
                        Evidence::new(format!(
                            "With weights within {} the critic's scores of real and generated images differ by {} at the end, so that its gradients are next to nothing.",
                            short(clip),
                            short(gap)
                        ))
                        .with("weight_clip", clip)
                        .with("score_difference", gap),
                    )
                    .fix(["model.weight_clip=0.03".to_owned()], "clip the critic's weights less tightly, such as to 0.03")
            })
        }
        _ => None,
    }
}

/// The discriminator's loss in each step without a gradient penalty, which says nothing of its answers.
fn loss_of_scores(facts: &Facts<'_>) -> Vec<(u64, f64)> {
    let mut losses = facts.scalar("loss").to_vec();
    let penalties = facts.scalar("gradient_penalty");
    for ((_, loss), (_, penalty)) in losses.iter_mut().zip(penalties.iter()) {
        *loss -= penalty;
    }
    losses
}

/// The discriminator is certain for most of the run.
fn too_strong(facts: &Facts<'_>) -> Option<Finding> {
    if !has_cross_entropy(facts) {
        return None;
    }
    let losses = loss_of_scores(facts);
    // With label smoothing certainty costs something.
    let least = least_loss(facts.run.model());
    let is_certain = |loss: f64| loss - least < CERTAIN * (GUESSING - least);
    let share = losses.iter().filter(|(_, loss)| is_certain(*loss)).count() as f64
        / losses.len().max(1) as f64;
    let late = facts.late("loss")? - facts.late("gradient_penalty").unwrap_or(0.0);
    if share < 0.3 && !is_certain(late) {
        return None;
    }
    let since = losses
        .iter()
        .find(|(_, loss)| is_certain(*loss))
        .map(|(step, _)| *step)?;
    let generator = facts.late("generator_loss")?;
    let score = facts.role(Role::Score)?;
    let mut finding = Finding::new(Cause::DiscriminatorTooStrong, Severity::Serious, 0.93)
        .layer(&score.name, "activation")
        .since(since)
        .evidence(
            Evidence::new(format!(
                "The discriminator's loss was below {} of that of guessing in {:.0} % of the steps, first at step {since}; the generator's ended at {}.",
                CERTAIN,
                100.0 * share,
                short(generator)
            ))
            .with("certain_share", share)
            .with("loss", late)
            .with("generator_loss", generator)
            .command(format!("trainscope sample {} --tensor {} --keep 4", facts.folder(), score.name)),
        );
    if let (Some(of_generator), Some(of_discriminator)) = (
        facts.optimizer(Network::Main),
        facts.optimizer(Network::Discriminator),
    ) {
        let (slow, fast) = (
            Facts::learning_rate(of_generator),
            Facts::learning_rate(of_discriminator),
        );
        finding = finding.evidence(
            Evidence::new(format!(
                "The discriminator learns at a rate of {}, the generator at {}.",
                short(fast),
                short(slow)
            ))
            .with("discriminator_rate", fast)
            .with("generator_rate", slow),
        );
        let better = if fast > slow { slow * 0.5 } else { fast * 0.1 };
        finding = finding.fix(
            [format!(
                "train.discriminator_optimizer.{}.lr={better:e}",
                fixes::optimizer_name(of_discriminator)
            )],
            format!("let the discriminator learn at {}", short(better)),
        );
    }
    Some(finding)
}

/// The discriminator stands still while the generator moves.
fn too_weak(facts: &Facts<'_>) -> Option<Finding> {
    if !has_cross_entropy(facts) {
        return None;
    }
    let largest = |network: Network| {
        let layers = facts.weighted().into_iter();
        layers
            .filter(|layer| facts.network_of(&layer.name) == network)
            .flat_map(|layer| facts.update_ratios(&layer.name))
            .map(|(_, ratio)| ratio)
            .fold(f64::NAN, f64::max)
    };
    let (discriminator, generator) = (largest(Network::Discriminator), largest(Network::Main));
    let late = facts.late("loss")? - facts.late("gradient_penalty").unwrap_or(0.0);
    let stands_still = discriminator < 1e-4 || discriminator < 5e-3 * generator;
    if !stands_still || late < 0.9 * GUESSING {
        return None;
    }
    let optimizer = facts.optimizer(Network::Discriminator)?;
    let rate = Facts::learning_rate(facts.optimizer(Network::Main)?)
        .min(2e-4)
        .max(Facts::learning_rate(optimizer));
    Some(
        Finding::new(Cause::DiscriminatorTooWeak, Severity::Serious, 0.9)
            .layer("discriminator", "update")
            .since(0)
            .evidence(
                Evidence::new(format!(
                    "No update of the discriminator was larger than {} of its weights, the generator's reached {}; the discriminator's loss ended at {}, guessing costs {}.",
                    short(discriminator),
                    short(generator),
                    short(late),
                    short(GUESSING)
                ))
                .with("discriminator_update", discriminator)
                .with("generator_update", generator)
                .with("loss", late),
            )
            .fix(
                [format!("train.{}.{}.lr={rate:e}", facts.optimizer_key(Network::Discriminator), fixes::optimizer_name(optimizer))],
                format!("let the discriminator learn at {}", short(rate)),
            ),
    )
}

/// Generated images hardly differ from each other although the data do.
fn alike(facts: &Facts<'_>, _symptoms: &Symptoms) -> Option<Finding> {
    let image = facts.role(Role::Image)?;
    let diversity = facts.late("diversity")?;
    let variance = facts.data.as_ref()?.variance;
    if variance < 1e-9 || diversity >= ALIKE * variance {
        return None;
    }
    let latent = facts.role(Role::Latent)?;
    let first = facts.early("diversity")?;
    // A generator that never made its images differ ignores its noise; one that stopped collapsed.
    let ignored = first < ALIKE * variance;
    let cause = if ignored {
        Cause::NoiseIgnored
    } else {
        Cause::ModeCollapse
    };
    let since = facts
        .scalar("diversity")
        .iter()
        .rev()
        .take_while(|(_, value)| *value < ALIKE * variance)
        .last()
        .map_or(0, |(step, _)| *step);
    let optimizer = facts.optimizer(Network::Main)?;
    let rate = Facts::learning_rate(optimizer) * 0.1;
    Some(
        Finding::new(cause, Severity::Serious, 0.91)
            .layer(&image.name, "activation")
            .statistic(Statistic::Std)
            .since(since)
            .evidence(
                Evidence::new(format!(
                    "The variance of generated images over the batch ended at {}, that of the data is {}; the noise in {} varies as ever.",
                    short(diversity),
                    short(variance),
                    latent.name
                ))
                .with("diversity", diversity)
                .with("data", variance)
                .command(format!("trainscope sample {} --tensor {} --quantity std --keep 16", facts.folder(), image.name)),
            )
            .fix(
                [format!("train.optimizer.{}.lr={rate:e}", fixes::optimizer_name(optimizer))],
                "let the generator learn more slowly than the discriminator",
            ),
    )
}
