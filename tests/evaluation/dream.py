"""The checks of `trainscope dream` on two-stream networks: what is dreamt must be what the network means.

    python3 tests/evaluation/dream.py --program target/release/trainscope --motion RUN [--other RUN] [--binding RUN]
        [--clips FOLDER] [--late RUN] [--binding-clips FOLDER] [--classes 24] [--steps 300] [--work FOLDER]

RUN are run directories of `two-stream-clips` (--motion; --other is one of another seed) and `two-stream-binding`
(--binding; --late is one with late fusion). FOLDER has images.npy and labels.npy of clips that no network saw, of the
motion task and of the binding task (`cargo run --example clips`). Dreams are
made by the program; everything said about them is computed here, with the run's parameters in PyTorch, so that the check
shares no code with what it checks. Printed is a table: check, measured, accepted, and whether it is. Needs numpy, torch
and safetensors.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

import numpy as np
import torch
from safetensors.torch import load_file

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "fixtures"))
import scenario_model  # noqa: E402

# Of the motions right, left, up and down, across and down.
DIRECTIONS = [(1, 0), (-1, 0), (0, -1), (0, 1)]
MOTIONS = 6


class Check:
    def __init__(self):
        self.rows = []

    def add(self, name, measured, accepted, holds):
        self.rows.append((name, measured, accepted, holds))

    def print(self):
        print("| check | measured | accepted | |")
        print("| --- | --- | --- | --- |")
        for name, measured, accepted, holds in self.rows:
            print(f"| {name} | {measured} | {accepted} | {'yes' if holds else 'no'} |")


def network(run, classes):
    scenario = scenario_model.read_scenario(run / "scenario.toml")
    module = scenario_model.build(scenario["model"], (23, 32, 32), classes)
    module.load_state_dict(load_file(scenario_model.last_checkpoint(run) / "parameters.safetensors"), strict=False)
    return module.eval()


@torch.no_grad()
def logits(module, clips):
    return torch.cat([module(part) for part in torch.as_tensor(clips).split(64)]).numpy()


def dream(options, run, name, *arguments):
    """The dreams as an array, and what the program says of them; kept in the work folder."""
    array, said = options.work / f"{name}.npy", options.work / f"{name}.json"
    if not said.exists():
        command = [options.program, "dream", run, "--steps", options.steps, "--out", array, "--json", *arguments]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{command}: {done.stderr.strip()}")
        said.write_text(done.stdout)
    return np.load(array), json.loads(said.read_text())["dreams"]


def of_class(dreams):
    return [int(dream["unit"].split(":")[1]) for dream in dreams]


def direction_error(clip, wanted):
    """Degrees between the direction of the flow, weighted by its speed, and the one of the class."""
    flow = (2 * clip[3:] - 1).reshape(10, 2, 32, 32)
    speed = np.hypot(flow[:, 0], flow[:, 1])
    mean = [(flow[:, part] * speed).sum() for part in (0, 1)]
    angle = np.degrees(np.arctan2(mean[1], mean[0]) - np.arctan2(wanted[1], wanted[0]))
    return abs((angle + 180) % 360 - 180)


def accuracy(module, clips, labels):
    return float((logits(module, clips).argmax(1) == labels).mean())


def unseen(folder):
    images = np.load(folder / "images.npy") / np.float32(255)
    return images.astype(np.float32), np.load(folder / "labels.npy")


def exact_pairs(options, check):
    """Clips of the binding task of which both things are named, and nothing else."""
    images, labels = unseen(options.binding_clips)
    things = [(texture, direction) for texture in range(4) for direction in range(4)]
    pairs = [(a, b) for a in things for b in things if a[0] < b[0] and a[1] != b[1]]
    wanted = np.array([[thing in pair for thing in things] for pair in pairs])[labels]
    for run, name, accepted, holds in (
        (options.binding, "fused", ">= 0.97", lambda x: x >= 0.97),
        (options.late, "late fusion", "<= 0.05", lambda x: x <= 0.05),
    ):
        if run:
            share = float(((logits(network(run, 72), images) > 0) == wanted).all(1).mean())
            check.add(f"B: exact pair on new clips, {name}", f"{share:.3f}", accepted, holds(share))


def motion(options, check):
    own = network(options.motion, 24)
    units = "class:all" if options.classes == 24 else "class:" + ",".join(str(i) for i in range(options.classes))
    clips, dreams = dream(options, options.motion, "motion", "--unit", units, "--chi", "0,1")
    classes, chi = np.array(of_class(dreams)), np.array([dream["chi"] for dream in dreams])
    found = logits(own, clips)
    off = max(abs(found[i, c] - dreams[i]["activation"]) for i, c in enumerate(classes))
    check.add("activations in PyTorch, largest difference", f"{off:.1e}", "<= 1e-2", off <= 1e-2)
    right = [float((found.argmax(1) == classes)[chi == x].mean()) for x in (0, 1)]
    check.add("A: dreams are of their class, same net, chi 1 (chi 0)", f"{right[1]:.2f} ({right[0]:.2f})", ">= 0.85", right[1] >= 0.85)
    if options.other:
        other = logits(network(options.other, 24), clips).argmax(1) == classes
        transfer = [float(other[chi == x].mean()) for x in (0, 1)]
        check.add("A: the same on a net of another seed", f"{transfer[1]:.2f} ({transfer[0]:.2f})", ">= 0.60, not below chi 0", transfer[1] >= max(0.6, transfer[0]))
    over = [dream["activation"] / dream["real_maximum"] for dream in dreams if dream["chi"] == 1]
    check.add("A: own logit over the largest on real clips, median (least)", f"{statistics.median(over):.1f} ({min(over):.1f})", ">= 1.5", statistics.median(over) >= 1.5)
    straight = [i for i, c in enumerate(classes) if c % MOTIONS < 4 and chi[i] == 1]
    errors = [direction_error(clips[i], DIRECTIONS[classes[i] % MOTIONS]) for i in straight]
    check.add("A: direction of the flow, classes of straight motion, median", f"{statistics.median(errors):.0f} degrees", "<= 25", statistics.median(errors) <= 25)


def energies(options, check):
    units = "class:0,3,7,8,14,21"
    strip = {}
    for name, arguments in (("strip", ["--chi", "0,1,5,10"]), ("bare", ["--chi", "0", "--range", "0", "--smoothness", "0"])):
        _, dreams = dream(options, options.motion, name, "--unit", units, *arguments)
        for chi in sorted({dream["chi"] for dream in dreams}):
            rows = [dream["energies"] for dream in dreams if dream["chi"] == chi]
            strip[name, chi] = [statistics.mean(row[key] for row in rows) for key in ("temporal", "spatial")]
    temporal = [strip["strip", chi][0] for chi in (0, 1, 5, 10)]
    spatial = [strip["strip", chi][1] for chi in (0, 1, 5, 10)]
    fall = temporal[0] / temporal[-1]
    falls = all(a > b for a, b in zip(temporal, temporal[1:]))
    check.add("A: differences in time, chi 0, 1, 5, 10", f"{', '.join(f'{x:.2g}' for x in temporal)}: {fall:.0f} times lower", "strictly falling, >= 5", falls and fall >= 5)
    ratio = max(spatial[0] / spatial[-1], spatial[-1] / spatial[0])
    check.add("A: differences in space over the same", f"{spatial[0]:.2g} to {spatial[-1]:.2g}", "within a factor of 2", ratio <= 2)
    worse = strip["bare", 0][1] / spatial[0]
    check.add("A: differences in space without a regularizer", f"{worse:.0f} times as large", ">= 5", worse >= 5)


def binding(options, check):
    module = network(options.binding, 72)
    clips, dreams = dream(options, options.binding, "binding", "--unit", "logits:all", "--gain", "20")
    found = logits(module, clips)
    outputs = np.array(of_class(dreams))
    own = found[np.arange(len(outputs)), outputs]
    right = float((found.argmax(1) == outputs).mean())
    check.add("B: the greatest output is the own one", f"{right:.2f}", ">= 0.94", right >= 0.94)
    over = statistics.median(dream["activation"] / dream["real_maximum"] for dream in dreams)
    check.add("B: own output over the largest on real clips, median", f"{over:.1f}", ">= 1.5", over >= 1.5)

    def value(appearance, flow):
        joined = np.concatenate([appearance, flow], 1).astype(np.float32)
        return logits(module, joined)[np.arange(len(outputs)), outputs]

    appearance, flow = clips[:, :3], clips[:, 3:]
    gray, still = np.full_like(appearance, 0.5), np.full_like(flow, 0.5)
    nothing = value(gray, still)
    both = value(appearance, flow) - nothing
    single = (value(appearance, still) - nothing) + (value(gray, flow) - nothing)
    bound = int((both > single).sum())
    ratio = statistics.median(b / s for b, s in zip(both, single) if s > 0) if (single > 0).any() else float("inf")
    check.add("B: gain of both streams over the sum of single ones, median", f"{ratio:.1f}; larger in {bound} of {len(own)}", ">= 5, >= 15 of 16", ratio >= 5 and bound >= 15)
    swap = np.array([np.where(outputs == c // 4 * 4 + (c % 4 + 1) % 4)[0][0] for c in outputs])
    swapped = value(appearance, flow[swap])
    check.add("B: own output with the flow of the next direction", f"{own.mean():.0f} to {swapped.mean():.0f}", "< 0", swapped.mean() < 0)
    shifted = value(appearance, np.roll(flow, 8, axis=3))
    drop = 1 - shifted.mean() / own.mean()
    check.add("B: own output with the flow shifted by 8 pixels", f"{own.mean():.0f} to {shifted.mean():.0f}", "40 % lower", drop >= 0.4)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", default="target/debug/trainscope")
    for run in ("motion", "other", "binding", "late", "clips", "binding-clips", "appearance", "flow"):
        parser.add_argument(f"--{run}", type=pathlib.Path)
    parser.add_argument("--classes", type=int, default=24)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("dreams"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    check = Check()
    if options.clips:
        images, labels = unseen(options.clips)
        for run, name, accepted, holds in (
            (options.motion, "fused", ">= 0.97", lambda x: x >= 0.97),
            (options.appearance, "appearance only", "<= 0.22", lambda x: x <= 0.22),
            (options.flow, "flow only", "<= 0.30", lambda x: x <= 0.30),
        ):
            if run:
                share = accuracy(network(run, 24), images, labels)
                check.add(f"A: accuracy on new clips, {name}", f"{share:.3f}", accepted, holds(share))
    if options.motion:
        motion(options, check)
        energies(options, check)
    if options.binding_clips:
        exact_pairs(options, check)
    if options.binding:
        binding(options, check)
    check.print()


if __name__ == "__main__":
    main()
