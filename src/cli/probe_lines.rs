//! `trainscope sample --per sample`: the single values of the probe batch over steps that are run again.

use serde_json::{Value, json};
use trainscope::gpu::Gpu;
use trainscope::tensor::TensorKind;
use trainscope::trace::RunReader;
use trainscope::train::{ProbeLines, ProbeLinesRequest, Replay};
use trainscope::view::Caption;
use trainscope::{Error, Result};

use super::Common;
use super::sample_args::SampleArgs;
use super::sample_lines::Lines;
use super::tolerance;

/// Runs the steps again and takes the lines.
pub fn read(common: &Common, args: &SampleArgs, gpu: &Gpu) -> Result<Lines> {
    if !args.input.is_dir() {
        return Err(Error::usage(
            "--per sample",
            format!(
                "{} is a file, and only a run can be run again",
                args.input.display()
            ),
            "name a run directory, or leave --per out",
        ));
    }
    let run = RunReader::open(&args.input)?;
    let (from, to) = (
        args.from.unwrap_or(0),
        args.to.unwrap_or(run.info().steps_done),
    );
    let request = ProbeLinesRequest {
        tensor: args.tensor.clone().unwrap_or_default(),
        kind: args.kind,
        steps: from..to,
    };
    let bar = common.bar(to.saturating_sub(from));
    let replay = Replay::open(gpu, &args.input)?.tolerance(args.tolerance.tolerance);
    let recorded = ProbeLines::record(replay, request, &mut |_| bar.inc(1));
    bar.finish_and_clear();
    let mut probe = recorded?;
    common.note(&format!(
        "{} lines of {} samples at the steps {from} to {}, run again",
        probe.len(),
        probe.samples,
        to - 1
    ));
    tolerance::say(common, probe.deviation.as_ref());
    let tensor = &probe.request.tensor;
    let kind = probe.request.kind.name();
    let names = (0..probe.len()).map(|line| format!("{tensor}, {kind} of {}", probe.line(line)));
    let names = names.collect();
    let of = match probe.request.kind {
        TensorKind::Gradient => "gradient of the loss on the probe batch",
        _ => "value on the probe batch",
    };
    let title = format!("{}: {tensor}, {of}, each sample", run.info().name);
    Ok(Lines {
        caption: Caption {
            title,
            x_title: "training step".to_owned(),
            y_title: kind.to_owned(),
            first_step: from,
            stride: 1,
        },
        table: probe.take_series().into(),
        layout: None,
        names,
        groups: Vec::new(),
        probe: Some(probe),
    })
}

/// A line in JSON.
pub fn object(probe: &ProbeLines, line: usize) -> Value {
    let found = probe.line(line);
    json!({
        "tensor": probe.request.tensor,
        "kind": probe.request.kind.name(),
        "unit": found.unit,
        "sample": found.sample,
        "position": found.position,
    })
}
