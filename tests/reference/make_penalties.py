"""Reference values and gradients of the penalties, by automatic differentiation in JAX, in double precision.

Writes penalties.npz beside this script; tests/penalties/reference.rs reproduces it. The formulas are written from the papers, with arccos and
sums over all rows and classes: the cases stay away from the poles.

    pip install "jax[cpu]" numpy && python tests/reference/make_penalties.py
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
IGNORE = -100


def unit(x):
    return x / jnp.linalg.norm(x, axis=1, keepdims=True)


def labelled(labels):
    return [(row, int(label)) for row, label in enumerate(labels) if label != IGNORE]


def intra(x, w, labels):
    x, w = unit(x), unit(w)
    pairs = labelled(labels)
    return sum(jnp.arccos(x[row] @ w[label]) for row, label in pairs) / (jnp.pi * len(pairs))


def inter(x, w, labels):
    w = unit(w)
    pairs = labelled(labels)
    sums = (jnp.arccos(w[label] @ w[j]) for _, label in pairs for j in range(len(w)) if j != label)
    return -sum(sums) / (jnp.pi * len(pairs) * (len(w) - 1))


def triplet(x, w, labels, margin=0.3):
    x = unit(x)
    losses = []
    for a, label in labelled(labels):
        angle = lambda row: jnp.arccos(x[a] @ x[row])
        positive = [angle(row) for row, other in labelled(labels) if row != a and other == label]
        negative = [angle(row) for row, other in labelled(labels) if other != label]
        if positive and negative:
            losses.append(jnp.maximum(jnp.max(jnp.stack(positive)) + margin - jnp.min(jnp.stack(negative)), 0.0))
    return sum(losses) / len(losses)


def center_loss(x, w, labels):
    pairs = labelled(labels)
    return sum(jnp.sum((x[row] - w[label]) ** 2) for row, label in pairs) / (2 * len(pairs))


def regularface(x, w, labels):
    w = unit(w)
    return jnp.mean(jnp.max(w @ w.T - 3.0 * jnp.eye(len(w)), axis=1))


def centre_distance(x, w, labels):
    """Of the rows of x as centres, three or four a class."""
    centres = 4 if len(x) == 16 else 3
    of_classes = unit(x).reshape(-1, centres, x.shape[1])
    pairs = [(s, t) for s in range(centres) for t in range(s + 1, centres)]
    sums = sum(jnp.sqrt(2.0 - 2.0 * (w[s] @ w[t])) for w in of_classes for s, t in pairs)
    return sums / (len(x) * (centres - 1))


def updated_centres(x, w, labels, alpha=0.5):
    """Wen et al., eq. 4, class by class."""
    w = w.copy()
    for j in range(len(w)):
        rows = np.flatnonzero(labels == j)
        w[j] -= alpha * sum(w[j] - x[row] for row in rows) / (1 + len(rows)) if len(rows) else 0.0
    return w


def main():
    arrays = {}
    rng = np.random.default_rng(0)
    for case, (rows, classes, dimension) in enumerate([(12, 4, 5), (9, 3, 8), (16, 7, 6)]):
        x = rng.normal(size=(rows, dimension)) * rng.uniform(0.5, 3.0, size=(rows, 1))
        w = rng.normal(size=(classes, dimension)) * rng.uniform(0.5, 3.0, size=(classes, 1))
        labels = rng.integers(0, classes, size=rows)
        labels[3] = IGNORE
        put = lambda name, value: arrays.__setitem__(f"{case}/{name}", np.asarray(value))
        put("features", x), put("weights", w), put("labels", labels.astype(np.int64))
        for penalty in (intra, inter, triplet, center_loss, regularface, centre_distance):
            value, (d_x, d_w) = jax.value_and_grad(penalty, argnums=(0, 1))(jnp.asarray(x), jnp.asarray(w), labels)
            name = penalty.__name__
            put(f"{name}.loss", value), put(f"{name}.d_features", d_x), put(f"{name}.d_weights", d_w)
        put("center_loss.updated", updated_centres(x, w, labels))
    np.savez(Path(__file__).with_name("penalties.npz"), **arrays)


main()
