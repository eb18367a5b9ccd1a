"""Times arcos and other frameworks by turns on the same arrays, and writes the tables of docs/benchmarks.md.

    make peers

or, in an environment with requirements.txt installed: python peers.py --arcos target/release/arcos
"""

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from frameworks import FRAMEWORKS, THREADS

HERE = Path(__file__).parent
DOCUMENT = HERE / "../../docs/benchmarks.md"

# What stands above each table, and the arguments of `arcos bench`.
CASES = {
    "Start of training: B 512, D 512, C 50,000": "--batch 512 --dim 512 --classes 50000",
    "Late in training: B 512, D 512, C 50,000, features at a cosine of 0.96 to their class": (
        "--batch 512 --dim 512 --classes 50000 --regime concentrated --workspace 0 --filter 1e-7"
    ),
    "B 256, D 512, C 10,000": "--batch 256 --dim 512 --classes 10000",
    "B 128, D 1280, C 200": "--batch 128 --dim 1280 --classes 200",
}

# Frameworks disagree in rounding; what is beyond this is another loss.
TOLERANCE = 1e-3

# Training rows, test rows, dimension and classes of CUB-200-2011 with EfficientNet-B0.
BIRDS = (5994, 5794, 1280, 200)


class Worker:
    """A framework in a process of its own, which waits until it is its turn."""

    def __init__(self, script, *arguments):
        command = [sys.executable, HERE / script, *map(str, arguments)]
        # A pipe that nobody reads would fill up.
        self.complaints = tempfile.TemporaryFile("w+")
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self.complaints, text=True)

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.complaints.seek(0)
            sys.exit(f"{' '.join(map(str, self.process.args[1:]))} failed:\n{self.complaints.read()}")
        return json.loads(line)

    def ask(self, question):
        self.process.stdin.write(f"{question}\n")
        self.process.stdin.flush()
        return self.answer()

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def arcos_bench(arcos, arguments, runs, *others):
    command = [arcos, "bench", "--head", "arcface", *arguments.split(), "--json", "--runs", str(runs), *others]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def race(arcos, arguments, rounds):
    """The rows of a table, (name, seconds, extra MiB), the bare products first; and the versions of the frameworks."""
    with tempfile.TemporaryDirectory() as directory:
        first = arcos_bench(arcos, arguments, 1, "--save-arrays", directory)
        workers, about = {}, {}
        for name in FRAMEWORKS:
            workers[name] = Worker("frameworks.py", name, directory)
            about[name] = workers[name].answer()
            if abs(about[name]["loss"] - first["loss"]) > TOLERANCE * first["loss"] + TOLERANCE**2:
                sys.exit(f"{name} has loss {about[name]['loss']}; expected {first['loss']}")
        times = {name: [] for name in ["bare", "explicit", "streaming", *workers]}
        for _ in range(rounds):
            of_arcos = {result["name"]: result for result in arcos_bench(arcos, arguments, 1)["results"]}
            bare = [result["seconds"] for name, result in of_arcos.items() if name.startswith("bare")]
            times["bare"].append(min(bare))
            times["explicit"].append(of_arcos["explicit forward + backward"]["seconds"])
            times["streaming"].append(of_arcos["streaming"]["seconds"])
            for name, worker in workers.items():
                time.sleep(0.3)
                times[name].append(worker.ask("step"))
        for worker in workers.values():
            worker.stop()
    extra = {result["name"]: result["extra_mib"] for result in first["results"]}
    rows = [
        (f"three bare matrix products ({first['product']})", median(times["bare"]), None),
        ("**arcos, streaming**", median(times["streaming"]), extra["streaming"]),
        ("arcos, explicit forward and backward", median(times["explicit"]), extra["explicit forward + backward"]),
    ]
    rows += [(name, median(times[name]), about[name]["extra_mib"]) for name in workers]
    return rows, [about[name]["version"] for name in workers]


def table(rows):
    _, streaming, _ = rows[1]
    lines = ["| | milliseconds | to arcos | extra memory, MiB |", "|---|---|---|---|"]
    for name, seconds, extra in rows:
        milliseconds = f"{1e3 * seconds:.{2 if seconds < 0.01 else 1 if seconds < 0.1 else 0}f}"
        lines.append(f"| {name} | {milliseconds} | {seconds / streaming:.2f} | {'' if extra is None else f'{extra:.0f}'} |")
    return "\n".join(lines)


def save_birds(directory):
    """Features of the birds' shape around a centre for each class, positive as pooled features are."""
    train_rows, test_rows, dimension, classes = BIRDS
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((classes, dimension), np.float32)
    for part, rows in [("train", train_rows), ("test", test_rows)]:
        labels = np.arange(rows) % classes
        noise = rng.standard_normal((rows, dimension), np.float32)
        np.save(f"{directory}/{part}_features.npy", np.maximum(0.6 * centres[labels] + 1.5 * noise, 0))
        np.save(f"{directory}/{part}_labels.npy", labels)


def arcos_epoch(arcos, directory, batch, epochs):
    """Seconds of an epoch with evaluation and checkpoint: those of a longer run less those of a shorter one."""
    def seconds(epochs):
        with tempfile.TemporaryDirectory() as out:
            command = f"{arcos} train --head arcface --data {directory} --batch-size {batch} --epochs {epochs} --out {out}/run"
            start = time.perf_counter()
            subprocess.run(command.split(), check=True, capture_output=True)
            return time.perf_counter() - start

    return (seconds(2 + epochs) - seconds(2)) / epochs


def epochs_table(arcos, rounds, epochs=10):
    lines = ["| batch | arcos train | PyTorch | PyTorch to arcos |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as directory:
        save_birds(directory)
        for batch in [128, 32]:
            worker = Worker("epochs.py", directory, batch)
            ours, theirs = [], []
            for _ in range(rounds):
                theirs.append(worker.ask(epochs)[0])
                ours.append(arcos_epoch(arcos, directory, batch, epochs))
            worker.stop()
            lines.append(f"| {batch} | {median(ours):.3f} s | {median(theirs):.3f} s | {median(theirs) / median(ours):.2f} |")
    return "\n".join(lines)


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        model = next((line.split(":")[1].strip() for line in cpuinfo if line.startswith("model name")), platform.machine())
        cpuinfo.seek(0)
        wide = "AVX-512" if "avx512f" in cpuinfo.read() else "no AVX-512"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model} ({wide}), {THREADS} threads, {memory:.0f} GiB; {platform.system()}, Python {platform.python_version()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arcos", default=HERE / "../../target/release/arcos", help="the program [default: %(default)s]")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each, of which the median counts")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="where the tables go [default: %(default)s]")
    arguments = parser.parse_args()
    arcos = Path(arguments.arcos).resolve()

    parts = []
    for title, case in CASES.items():
        rows, versions = race(arcos, case, arguments.rounds)
        parts += [f"### {title}", f"`arcos bench {case}`", table(rows)]
        print(f"{title}\n{parts[-1]}", file=sys.stderr)
    train_rows, test_rows, dimension, classes = BIRDS
    title = f"### An epoch: {train_rows:,} rows, D {dimension}, C {classes}, and an evaluation of {test_rows:,}"
    parts += [title, epochs_table(arcos, arguments.rounds)]
    print(parts[-1], file=sys.stderr)
    ours = subprocess.run([arcos, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    versions = ", ".join(dict.fromkeys([ours, *versions]))
    parts.insert(0, f"{datetime.date.today()}, {machine()}. {versions}. Medians of {arguments.rounds} rounds.")

    text = arguments.document.read_text()
    between = re.compile("(?<=<!-- tables -->\n).*(?=<!-- end of tables -->)", re.DOTALL)
    if not between.search(text):
        sys.exit(f"{arguments.document} has no <!-- tables --> and <!-- end of tables -->")
    arguments.document.write_text(between.sub(lambda _: "\n" + "\n\n".join(parts) + "\n\n", text))


if __name__ == "__main__":
    main()
