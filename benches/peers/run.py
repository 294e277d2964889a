#!/usr/bin/env python3
"""Time the same training steps and matrix products in trainscope, burn, candle and PyTorch, and print the ratios.

    python run.py [--workloads vae conv-vae-28 ...] [--contenders trainscope burn-wgpu ...] [--rounds 3] [--seconds 5]

Builds what is needed, then lets the contenders run one after the other, round by round, each time as a new process.
Needs Python 3.11 and nothing else; PyTorch takes part where `--python` (or $PEERS_PYTHON, or python3) has it.
"""

import argparse
import datetime
import functools
import json
import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent

# Package, cargo features, arguments. No package: PyTorch.
CONTENDERS = {
    "trainscope": ("peer-trainscope", None, []),
    "burn-wgpu": ("peer-burn", None, ["--backend", "wgpu"]),
    "burn-vulkan": ("peer-burn", "vulkan", ["--backend", "wgpu"]),
    "burn-flex": ("peer-burn", None, ["--backend", "flex"]),
    "burn-ndarray": ("peer-burn", None, ["--backend", "ndarray"]),
    "candle-cpu": ("peer-candle", None, []),
    "pytorch-cpu": (None, None, ["--device", "cpu"]),
    "pytorch-cuda": (None, None, ["--device", "cuda"]),
}
# Shape of the images, how many, and the steps of a block.
TRAINING = {
    "vae": ((1, 28, 28), 4096, 16),
    "conv-vae-28": ((1, 28, 28), 4096, 8),
    "conv-vae-32": ((3, 32, 32), 4096, 4),
    "dcgan": ((3, 64, 64), 512, 1),
}
# Products of a block, by the side.
PRODUCTS = {256: 64, 512: 16, 1024: 8, 2048: 4, 4096: 2}
WORKLOADS = [f"matmul-{side}" for side in PRODUCTS] + list(TRAINING)
# How far the results after the same number of steps may lie apart; every contender draws its own random numbers.
TOLERANCE = {"matmul": 1e-3, "vae": 0.1, "conv": 0.25, "dcgan": math.inf}


def write_images(path, shape, count):
    """Discs on black, 64 of them, each shifted along the rows in many ways: bytes [count, channels, height, width]."""
    channels, height, width = shape
    discs = []
    for number in range(64):
        x, y = (0.3 + 0.4 * (number % 8) / 7) * width, (0.3 + 0.4 * (number // 8) / 7) * height
        radius = (0.1 + 0.15 * (number * 29 % 64) / 63) * width
        plane = bytes(
            round(255 * min(max(radius - math.hypot(j + 0.5 - x, i + 0.5 - y) + 0.5, 0), 1))
            for i in range(height)
            for j in range(width)
        )
        discs.append(plane)
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, {channels}, {height}, {width}), }}"
    header = header.ljust(117) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
        for image in range(count):
            plane, shift = discs[image % 64], image // 64
            file.write((plane[shift:] + plane[:shift]) * channels)


def build(packages, target):
    """Each package by itself: none gets features of a library that only another one needs."""
    for package, features in sorted(packages, key=str):
        folder = target / features if features else target
        command = ["cargo", "build", "--release", "--package", package, "--target-dir", folder]
        subprocess.run(command + (["--features", features] if features else []), cwd=HERE, check=True)


def binary(arguments, package, features):
    if arguments.binaries:
        return arguments.binaries.resolve() / (f"{package}-{features}" if features else package)
    folder = arguments.target / features if features else arguments.target
    return folder / "release" / package


def environment(cache):
    """Every contender has caches of its own, empty in the first round."""
    own = {name: str(cache) for name in ("XDG_CACHE_HOME", "MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH")}
    # As the program trainscope does: llvmpipe deals work out in equal parts, and shared cores are not equally fast.
    threads = {"LP_NUM_THREADS": str(2 * (os.cpu_count() or 1))}
    return {"NODEVICE_SELECT": "1", **threads, **os.environ, **own, "CUDA_CACHE_PATH": str(cache / "cuda")}


def once(arguments, name, workload, folder):
    """One process; what it reports, or why it does not."""
    package, features, options = CONTENDERS[name]
    cache = folder / f"{name}-{workload}"
    cache.mkdir(exist_ok=True)
    # Burn looks for it in the working directory: kernels that were compiled are kept too, not tuning alone.
    (cache / "cubecl.toml").write_text("[compilation]\ncache = true\n", encoding="utf-8")
    program = [arguments.python, HERE / "pytorch.py"] if package is None else [binary(arguments, package, features)]
    command = [*program, workload, *options, "--seconds", str(arguments.seconds)]
    if workload in TRAINING:
        batch = arguments.dcgan_batch if workload == "dcgan" else 128
        block = TRAINING[workload][2]
        command += ["--data", folder / f"{workload}.npy", "--batch", str(batch)]
    else:
        block = PRODUCTS.get(int(workload.removeprefix("matmul-")), 4)
    command += ["--block", str(block * arguments.block_factor), "--started", repr(time.time())]
    try:
        done = subprocess.run(
            command, cwd=cache, env=environment(cache), capture_output=True, text=True, timeout=arguments.timeout
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {arguments.timeout:g} s"}
    except OSError as error:
        return {"failed": str(error)}
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return {"failed": next((line for line in lines if "panicked" not in line), lines[0])[:200]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def differs(workload, runs):
    """Why the contenders' runs must not be compared, if so."""
    base_name, base = next(iter(runs.items()))
    tolerance = TOLERANCE[workload.split("-")[0]]
    for name, reports in runs.items():
        for report in reports:
            if report["parameters"] != base[0]["parameters"]:
                return f"{name} learns {report['parameters']} parameters, {base_name} {base[0]['parameters']}"
            if not math.isfinite(report["result"]):
                return f"{name} gives {report['result']}"
            if abs(report["result"] - base[0]["result"]) > tolerance * max(1, abs(base[0]["result"])):
                return f"{name} gives {report['result']:.6g}, {base_name} {base[0]['result']:.6g}"
    return None


def summary(workload, results):
    """Figures of a workload, by contender, and what spoils them."""
    runs = {name: [r for r in reports if "failed" not in r] for name, reports in results.items()}
    failures = {n: next(r["failed"] for r in rs if "failed" in r) for n, rs in results.items() if len(runs[n]) < len(rs)}
    runs = {name: reports for name, reports in runs.items() if name not in failures}
    if not runs:
        return {}, failures, None
    if reason := differs(workload, runs):
        return {}, failures, reason
    base = runs[next(iter(runs))]
    rows = {}
    for name, reports in runs.items():
        step = [report["step_seconds"] for report in reports]
        # Of the same round: the machine's drift hits both alike.
        ratios = [mine / other["step_seconds"] for mine, other in zip(step, base)]
        first = [report["first_step_seconds"] for report in reports]
        rows[name] = {
            "version": reports[0]["version"],
            "device": reports[0]["device"],
            "parameters": reports[0]["parameters"],
            "batch": reports[0]["batch"],
            "step_seconds": statistics.median(step),
            "best_step_seconds": min(report["best_step_seconds"] for report in reports),
            "ratio": statistics.median(ratios),
            "ratios": ratios,
            "first_step_seconds": first[0],
            "first_step_again_seconds": statistics.median(first[1:]) if len(first) > 1 else None,
            "gflops": statistics.median(r["gflops"] for r in reports) if reports[0]["gflops"] else None,
            "peak_memory_bytes": max((r["peak_memory_bytes"] or 0 for r in reports)) or None,
            "result": reports[0]["result"],
        }
    return rows, failures, None


def figure(value):
    """Three digits, or all of those before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def table(workload, rows, failures, reason):
    lines = [f"### {workload}", ""]
    if reason:
        lines += [f"Not compared: {reason}.", ""]
    if rows:
        some = next(iter(rows.values()))
        is_product = workload.startswith("matmul")
        if not is_product:
            lines += [f"{some['parameters']:,} parameters, batch {some['batch']}.", ""]
        rate = "GFLOP/s" if is_product else "steps/s"
        base = next(iter(rows))
        lines.append(f"| contender | ms | best ms | {rate} | time / {base} | rounds | first step, s | again, s | memory, MiB |")
        lines.append("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, row in rows.items():
        again, memory = row["first_step_again_seconds"], row["peak_memory_bytes"]
        cells = [
            f"{name} {row['version']}",
            figure(1e3 * row["step_seconds"]),
            figure(1e3 * row["best_step_seconds"]),
            figure(row["gflops"] or 1 / row["step_seconds"]),
            f"{row['ratio']:.2f}",
            f"{min(row['ratios']):.2f}–{max(row['ratios']):.2f}",
            f"{row['first_step_seconds']:.2f}",
            f"{again:.2f}" if again is not None else "",
            f"{memory / 2**20:.0f}" if memory else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [""] if rows else []
    lines += [f"{name}: {failure}." for name, failure in failures.items()] + ([""] if failures else [])
    return "\n".join(lines)


def first_line(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=HERE, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout.strip() else ""


def field(path, key):
    """What a line `key: value` of a system's file says."""
    try:
        lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def machine():
    cpu = field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()
    memory = field("/proc/meminfo", "MemTotal").removesuffix(" kB")
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "system": platform.platform(),
        "cpu": f"{cpu}, {os.cpu_count()} cores",
        "memory": f"{int(memory) / 2**20:.0f} GiB" if memory.isdigit() else "unknown",
        "load_before": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
        "rustc": first_line(["rustc", "--version"]) or "none here",
        "commit": first_line(["git", "rev-parse", "--short", "HEAD"]) or "unknown",
    }


@functools.cache
def torch_devices(python):
    command = [python, "-c", "import torch; print('cpu', *['cuda'] * torch.cuda.is_available())"]
    return first_line(command).split()


def choose(arguments):
    """The contenders that take part: those that were asked for, or all that can."""
    if arguments.contenders:
        return arguments.contenders
    torch = [f"pytorch-{device}" for device in torch_devices(arguments.python)]
    return [name for name, (package, features, _) in CONTENDERS.items() if name in torch or (package and not features)]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", nargs="+", default=WORKLOADS, metavar="W", help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, help="the first is what the others are held against")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="timed in each process")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds after which a process is given up")
    parser.add_argument("--dcgan-batch", type=int, default=64, help="8 is enough for a software adapter")
    parser.add_argument("--block-factor", type=int, default=1, help="more steps between two waits: 16 for a fast GPU")
    parser.add_argument("--python", default=os.environ.get("PEERS_PYTHON", "python3"), help="an interpreter with PyTorch")
    parser.add_argument("--binaries", type=pathlib.Path, metavar="FOLDER", help="of contenders built elsewhere; builds nothing")
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE.md", help="write the tables here too")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE.json", help="write every figure here")
    arguments = parser.parse_args()
    for workload in arguments.workloads:
        if workload not in TRAINING and not workload.removeprefix("matmul-").isdecimal():
            parser.error(f"'{workload}' is no workload")
    if min(arguments.rounds, arguments.block_factor) < 1:
        parser.error("--rounds and --block-factor are at least 1")
    arguments.target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target")).resolve()
    return arguments


def measure(arguments, workload, contenders, folder, results):
    """The rounds of a workload: every contender in turn, each time as a new process."""
    if workload in TRAINING:
        write_images(folder / f"{workload}.npy", *TRAINING[workload][:2])
    for round_ in range(arguments.rounds):
        for name in contenders:
            print(f"{workload}, round {round_ + 1}: {name}", file=sys.stderr, flush=True)
            # What has failed once is not waited for again.
            if not (results[name] and "failed" in results[name][-1]):
                results[name].append(once(arguments, name, workload, folder))


def main():
    arguments = parse()
    contenders = choose(arguments)
    if not arguments.binaries:
        build({CONTENDERS[name][:2] for name in contenders if CONTENDERS[name][0]}, arguments.target)
    about = machine()
    results = {workload: {name: [] for name in contenders} for workload in arguments.workloads}
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        folder = pathlib.Path(folder)
        try:
            for workload in arguments.workloads:
                measure(arguments, workload, contenders, folder, results[workload])
        except KeyboardInterrupt:
            print("interrupted: what was measured follows", file=sys.stderr)
    workloads = [w for w in arguments.workloads if all(results[w].values())]
    summaries = {workload: summary(workload, results[workload]) for workload in workloads}
    devices = {n: row["device"] for rows, _, _ in summaries.values() for n, row in rows.items()}
    lines = [f"{about['date']}, commit {about['commit']}, {about['rustc']}", ""]
    lines += [f"- machine: {about['cpu']}, {about['memory']}, {about['system']}; load before: {about['load_before']}"]
    lines += [f"- {name}: {device}" for name, device in devices.items()]
    lines += [f"- {arguments.rounds} rounds of {arguments.seconds:g} s each", ""]
    text = "\n".join(lines + [table(workload, *summaries[workload]) for workload in workloads])
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    if arguments.json:
        keys = ("contenders", "failures", "not_compared")
        figures = {workload: dict(zip(keys, parts)) for workload, parts in summaries.items()}
        whole = {"machine": about, "rounds": arguments.rounds, "seconds": arguments.seconds, "workloads": figures}
        arguments.json.write_text(json.dumps({**whole, "processes": results}, indent=1) + "\n", encoding="utf-8")
    return 1 if any(reason for _, _, reason in summaries.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
