"""Exact self-retrieval on the CPU: the nearest other rows of every row by inner product, with NumPy, faiss and another program by turns.

    pip install -r benches/peers/requirements.txt && python benches/peers/retrieval.py --features /tmp/features.npy

Makes the features, clusters of 50 unit vectors, and beside them features_labels.npy, unless they are there. Each turn is a process of its own, with
its peak of resident memory, interpreter and features included. Seconds are those of the search alone: features are loaded, faiss has copied them
into its index, and the first block of queries has been searched once.

`--command` is run by a shell with the threads in the usual variables, and says its own time in a line of JSON such as {"seconds": 1.5}. Lines of JSON
are shown as they come, then a table. Runs on Linux.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

# NumPy is imported where it is needed: a process starts with its parent's peak of resident memory as its own, so this one has to stay small.

BLOCK = 1024
ROWS_PER_CLASS = 50

# Standard deviation around a centre of standard deviation 1: enough for some nearest rows to be of another class.
NOISE = 3.0

# Rounding swaps neighbours that are equally near; what is beyond this is another answer.
TOLERANCE = {"recall_at_1": 1e-3, "mean_product": 1e-5}


def labels_of(features):
    return features.with_name(f"{features.stem}_labels.npy")


def save_features(path, rows, dimension, seed):
    import numpy as np

    rng = np.random.default_rng(seed)
    classes = max(rows // ROWS_PER_CLASS, 1)
    labels = np.arange(rows) % classes
    centres = rng.standard_normal((classes, dimension), np.float32)
    features = centres[labels] + np.float32(NOISE) * rng.standard_normal((rows, dimension), np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    np.save(labels_of(path), labels)
    np.save(path, features)


def load_features(path, rows, dimension):
    import numpy as np

    features, labels = np.load(path), np.load(labels_of(path))
    if features.shape != (rows, dimension) or features.dtype != np.float32 or labels.shape != (rows,):
        expected = f"({rows}, {dimension}) float32 with {rows} labels"
        sys.exit(f"{path} is {features.shape} {features.dtype} with {labels.size} labels; expected {expected}")
    return features, labels


def numpy_block(features, start, stop, neighbours):
    import numpy as np

    products = features[start:stop] @ features.T
    rows = np.arange(len(products))
    products[rows, start + rows] = -np.inf
    nearest = np.argpartition(products, -neighbours, axis=1)[:, -neighbours:]
    products = np.take_along_axis(products, nearest, axis=1)
    order = np.argsort(-products, axis=1)
    return np.take_along_axis(products, order, axis=1), np.take_along_axis(nearest, order, axis=1)


def with_numpy(features, neighbours, threads):
    import numpy as np

    def search(queries):
        products, indices = np.empty((queries, neighbours), np.float32), np.empty((queries, neighbours), np.int64)
        for start in range(0, queries, BLOCK):
            stop = min(start + BLOCK, queries)
            products[start:stop], indices[start:stop] = numpy_block(features, start, stop, neighbours)
        return products, indices

    return search


def with_faiss(features, neighbours, threads):
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatIP(features.shape[1])
    index.add(features)
    # One more, since it finds the row itself.
    return lambda queries: index.search(features[:queries], neighbours + 1)


SEARCHES = {"NumPy": with_numpy, "faiss": with_faiss}


def summary(products, indices, labels, neighbours):
    """What two exact searches have in common, whether or not they find the row itself."""
    import numpy as np

    rows = np.arange(len(indices))
    others = indices != rows[:, None]
    nearest = indices[rows, others.argmax(1)]
    return {
        "recall_at_1": float((labels[nearest] == labels).mean()),
        "mean_product": float(products.sum(dtype=np.float64, where=others) / (len(rows) * neighbours)),
    }


def turn(name, arguments):
    """What a process of its own does."""
    features, labels = load_features(arguments.features, arguments.rows, arguments.dimension)
    search = SEARCHES[name](features, arguments.neighbours, arguments.threads)
    search(min(BLOCK, len(features)))
    start = time.perf_counter()
    products, indices = search(len(features))
    seconds = time.perf_counter() - start
    print(json.dumps({"name": name, "seconds": seconds, **summary(products, indices, labels, arguments.neighbours)}))


def myself(only):
    return [sys.executable, __file__, *sys.argv[1:], "--only", only]


def environment(threads):
    variables = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"]
    return {**os.environ, **dict.fromkeys(variables, str(threads))}


def with_seconds(line):
    try:
        found = json.loads(line)
    except ValueError:
        return False
    return isinstance(found, dict) and "seconds" in found


def timed(name, command, threads):
    """The line of JSON of a process, and its peak of resident memory in MiB."""
    process = subprocess.Popen(
        command, shell=isinstance(command, str), stdout=subprocess.PIPE, text=True, env=environment(threads)
    )
    lines = process.stdout.read().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{name} failed with {process.returncode}")
    line = next(filter(with_seconds, lines), None)
    if line is None:
        sys.exit(f'{name} printed no line of JSON with "seconds"')
    print(line, flush=True)
    return json.loads(line), usage.ru_maxrss / 1024


def check(numpy, faiss):
    for key, tolerance in TOLERANCE.items():
        if abs(numpy[key] - faiss[key]) > tolerance:
            sys.exit(f"NumPy has {key} {numpy[key]}; faiss {faiss[key]}")


def race(commands, runs, threads):
    """Of each contestant the (line, peak) of each run."""
    found = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            found[name].append(timed(name, command, threads))
        check(found["NumPy"][-1][0], found["faiss"][-1][0])
    return found


def table(found, rows):
    seconds = {name: median(line["seconds"] for line, _ in turns) for name, turns in found.items()}
    lines = ["| | seconds | to faiss | queries/s | peak memory, MiB |", "|---|---|---|---|---|"]
    for name, turns in found.items():
        peak = median(peak for _, peak in turns)
        ratio = seconds[name] / seconds["faiss"]
        lines.append(f"| {name} | {seconds[name]:.3g} | {ratio:.2f} | {rows / seconds[name]:,.0f} | {peak:.0f} |")
    return "\n".join(lines)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, required=True, help="a .npy file, made unless it is there")
    parser.add_argument("--rows", type=int, default=20000, help="[default: %(default)s]")
    parser.add_argument("--dimension", type=int, default=512, help="[default: %(default)s]")
    parser.add_argument("--neighbours", type=int, default=60, help="others to find for each row [default: %(default)s]")
    parser.add_argument("--threads", type=int, default=2, help="[default: %(default)s]")
    parser.add_argument("--runs", type=int, default=3, help="turns of each, of which the median counts [default: %(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of the features [default: %(default)s]")
    parser.add_argument("--command", help="another program to time, which prints a line of JSON with its seconds")
    parser.add_argument("--only", choices=[*SEARCHES, "features"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.features.suffix != ".npy":
        parser.error("--features has to end in .npy")
    if not 0 < arguments.neighbours < arguments.rows:
        parser.error("--neighbours has to be at least 1 and less than --rows")
    if min(arguments.dimension, arguments.threads, arguments.runs) < 1:
        parser.error("--dimension, --threads and --runs have to be at least 1")
    return arguments


def main():
    arguments = parse()
    if arguments.only == "features":
        return save_features(arguments.features, arguments.rows, arguments.dimension, arguments.seed)
    if arguments.only:
        return turn(arguments.only, arguments)
    if not arguments.features.exists():
        subprocess.run(myself("features"), check=True)
    commands = {name: myself(name) for name in SEARCHES}
    if arguments.command:
        commands["command"] = arguments.command
    found = race(commands, arguments.runs, arguments.threads)
    of_what = f"{arguments.rows:,} rows, D {arguments.dimension}, K {arguments.neighbours}, {arguments.threads} threads"
    print(f"\n{of_what}; NumPy {version('numpy')}, faiss-cpu {version('faiss-cpu')}. Medians of {arguments.runs} runs.\n")
    print(table(found, arguments.rows))


if __name__ == "__main__":
    main()
