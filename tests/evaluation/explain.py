"""How often `trainscope explain` names the right cause.

    python3 tests/evaluation/explain.py SCENARIOS --runs RUNS [--seed 7]... [--verify] [--program target/debug/trainscope]

SCENARIOS is a folder of TOML files. A file whose first line is `# Cause: word or word.` fails for that cause; one whose
first line says anything else is healthy. Each is trained once per seed into RUNS (runs that are there already are kept),
then explained. Printed are a line for each run, the confusion table and the share of right answers. Data with relative
paths are looked for from the folder that this is started in. Needs Python 3.10 and nothing else.
"""
import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys
import time


def causes(path):
    """The true causes of a scenario, none for a healthy one."""
    with open(path, encoding="utf-8") as file:
        match = re.match(r"#\s*Cause:\s*(.*?)\.?\s*$", file.readline())
    return set(match[1].split(" or ")) if match else set()


def train(program, path, out, seed):
    if (out / "run.json").exists():
        return
    command = [program, "train", path, "--out", out, "--set", f"seed={seed}", "--no-report"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    # A run that fails ends with exit code 1, too.
    if not (out / "run.json").exists():
        sys.exit(f"{path}: {done.stderr.strip()}")


def explain(program, out, verify):
    command = [program, "explain", str(out), "--json"] + (["--verify"] if verify else [])
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{out}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("scenarios", type=pathlib.Path)
    arguments.add_argument("--runs", type=pathlib.Path, required=True)
    arguments.add_argument("--seed", type=int, action="append")
    arguments.add_argument("--verify", action="store_true")
    arguments.add_argument("--program", default="target/debug/trainscope")
    options = arguments.parse_args()
    table = collections.Counter()
    right = failing = alarms = healthy = 0
    seconds = 0.0
    for path in sorted(options.scenarios.glob("*.toml")):
        for seed in options.seed or [7]:
            out = options.runs / f"{path.stem}-seed{seed}"
            train(options.program, path, out, seed)
            begun = time.monotonic()
            said = explain(options.program, out, options.verify)
            seconds += time.monotonic() - begun
            true, findings = causes(path), said["findings"]
            first = findings[0]["cause"] if findings else "nothing"
            if true:
                failing += 1
                is_right = said["verdict"] == "failed" and first in true
                right += is_right
                table[(" or ".join(sorted(true)), first)] += 1
            else:
                healthy += 1
                is_right = said["verdict"] != "failed"
                alarms += not is_right
                table[("healthy", first if said["verdict"] != "healthy" else "nothing")] += 1
            others = ", ".join(finding["cause"] for finding in findings[1:4])
            mark = "right" if is_right else "WRONG"
            print(f"{mark}  {out.name:44} {said['verdict']:11} {first:26} {others}", flush=True)
    print("\ntrue cause -> first finding")
    for (true, first), count in sorted(table.items()):
        print(f"{count:4}  {true} -> {first}")
    print(f"\nright: {right} of {failing} failing; failed by mistake: {alarms} of {healthy} healthy; {seconds:.0f} s of explaining")


if __name__ == "__main__":
    main()
