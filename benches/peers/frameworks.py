"""ArcFace's loss, d_features and d_weights as other frameworks compute them. One process runs one of them:

    python frameworks.py NAME DIR

reads features.npy (B, D), weights.npy (C, D) and labels.npy (B,) from DIR, takes a few steps, and prints a line of JSON with the loss, the
most memory that they took and the framework's version. For each line that it reads after that it takes steps and prints the seconds of one.
"""

import json
import math
import os
import sys
import time
from importlib.metadata import version

import numpy as np

SCALE, MARGIN = 64.0, 0.5
THREADS = len(os.sched_getaffinity(0))

WARM_UP = 3

# Short steps are repeated for as long as this, in seconds.
LONG_ENOUGH = 0.1


def torch_arcface(features, weights, labels):
    """As most implementations have it: the angle's sine from its cosine, and a linear continuation past π - m."""
    import torch
    from torch.nn import functional as F

    cosines = F.linear(F.normalize(features), F.normalize(weights)).clamp(-1, 1)
    cosine = cosines.gather(1, labels[:, None])
    sine = (1 - cosine * cosine).clamp_min(0).sqrt()
    target = cosine * math.cos(MARGIN) - sine * math.sin(MARGIN)
    target = torch.where(cosine > -math.cos(MARGIN), target, cosine - MARGIN * math.sin(MARGIN))
    return F.cross_entropy(SCALE * cosines.scatter(1, labels[:, None], target), labels)


def torch_step(arrays, compiled):
    import torch

    torch.set_num_threads(THREADS)
    features, weights, labels = map(torch.from_numpy, arrays)
    loss_of = torch.compile(torch_arcface, dynamic=False) if compiled else torch_arcface
    features.requires_grad_(), weights.requires_grad_()

    def step():
        features.grad = weights.grad = None
        loss = loss_of(features, weights, labels)
        loss.backward()
        return loss.item()

    return step


def arcos_step(arrays):
    import arcos.torch
    import torch

    features, weights, labels = map(torch.from_numpy, arrays)
    head = arcos.torch.ArcFace(weights.shape[1], len(weights), scale=SCALE, margin=MARGIN)
    head.weight.data = weights
    features.requires_grad_()

    def step():
        features.grad = head.weight.grad = None
        loss = head(features, labels)
        loss.backward()
        return loss.item()

    return step


def metric_learning_step(arrays):
    import torch
    from pytorch_metric_learning.losses import ArcFaceLoss

    torch.set_num_threads(THREADS)
    features, weights, labels = map(torch.from_numpy, arrays)
    loss_of = ArcFaceLoss(len(weights), weights.shape[1], margin=math.degrees(MARGIN), scale=SCALE)
    loss_of.W.data = weights.T.contiguous()
    features.requires_grad_()

    def step():
        features.grad = loss_of.W.grad = None
        loss = loss_of(features, labels)
        loss.backward()
        return loss.item()

    return step


def jax_step(arrays):
    import jax
    from jax import numpy as jnp

    def loss_of(features, weights, labels):
        unit = lambda rows: rows / jnp.linalg.norm(rows, axis=1, keepdims=True)
        cosines = (unit(features) @ unit(weights).T).clip(-1, 1)
        rows = jnp.arange(len(labels))
        cosine = cosines[rows, labels]
        sine = jnp.sqrt(jnp.maximum(1 - cosine * cosine, 0))
        target = cosine * math.cos(MARGIN) - sine * math.sin(MARGIN)
        target = jnp.where(cosine > -math.cos(MARGIN), target, cosine - MARGIN * math.sin(MARGIN))
        logits = SCALE * cosines.at[rows, labels].set(target)
        return (jax.nn.logsumexp(logits, axis=1) - logits[rows, labels]).mean()

    step = jax.jit(jax.value_and_grad(loss_of, (0, 1)))
    features, weights, labels = map(jnp.asarray, arrays)

    def run():
        loss, gradients = step(features, weights, labels)
        jax.block_until_ready(gradients)
        return float(loss)

    return run


def tensorflow_step(arrays, xla):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    features, weights, labels = tf.Variable(arrays[0]), tf.Variable(arrays[1]), tf.constant(arrays[2])

    @tf.function(jit_compile=xla)
    def step():
        with tf.GradientTape() as tape:
            unit_features, unit_weights = tf.math.l2_normalize(features, 1), tf.math.l2_normalize(weights, 1)
            cosines = tf.clip_by_value(tf.matmul(unit_features, unit_weights, transpose_b=True), -1.0, 1.0)
            one_hot = tf.one_hot(labels, tf.shape(weights)[0])
            cosine = tf.reduce_sum(one_hot * cosines, 1, keepdims=True)
            sine = tf.sqrt(tf.maximum(1 - cosine * cosine, 0.0))
            target = cosine * math.cos(MARGIN) - sine * math.sin(MARGIN)
            target = tf.where(cosine > -math.cos(MARGIN), target, cosine - MARGIN * math.sin(MARGIN))
            logits = SCALE * (cosines + one_hot * (target - cosine))
            losses = tf.keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
            loss = tf.reduce_mean(losses)
        return loss, tape.gradient(loss, [features, weights])

    return lambda: float(step()[0])


# Name, the package whose version counts, and what makes the step.
FRAMEWORKS = {
    "arcos in PyTorch": ("arcos", arcos_step),
    "PyTorch": ("torch", lambda arrays: torch_step(arrays, compiled=False)),
    "PyTorch, torch.compile": ("torch", lambda arrays: torch_step(arrays, compiled=True)),
    "pytorch-metric-learning": ("pytorch-metric-learning", metric_learning_step),
    "JAX, jit": ("jax", jax_step),
    "TensorFlow/Keras": ("tensorflow-cpu", lambda arrays: tensorflow_step(arrays, xla=False)),
    "TensorFlow/Keras, XLA": ("tensorflow-cpu", lambda arrays: tensorflow_step(arrays, xla=True)),
}


def resident(field):
    """A field of the process's status, in MiB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field)) / 1024


def seconds(step):
    start = time.perf_counter()
    step()
    repeats = int(LONG_ENOUGH / (time.perf_counter() - start))
    if repeats == 0:
        return time.perf_counter() - start
    for _ in range(repeats):
        step()
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats


def main(name, directory):
    package, make_step = FRAMEWORKS[name]
    # What the framework takes once, for its own code and its compiler's, is not the step's.
    rng = np.random.default_rng(0)
    small = [rng.standard_normal(shape, np.float32) for shape in [(4, 8), (6, 8)]]
    make_step([*small, np.arange(4)])()

    arrays = [np.load(f"{directory}/{part}.npy") for part in ["features", "weights", "labels"]]
    step = make_step(arrays)
    with open("/proc/self/clear_refs", "w") as clear:
        clear.write("5")
    before = resident("VmRSS:")
    losses = [step() for _ in range(WARM_UP)]
    gradients = sum(array.nbytes for array in arrays[:2]) / 2**20
    extra = max(resident("VmHWM:") - before - gradients, 0.0)
    print(json.dumps({"loss": losses[-1], "extra_mib": extra, "version": f"{package} {version(package)}"}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(seconds(step)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
