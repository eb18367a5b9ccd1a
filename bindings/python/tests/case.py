"""A batch to test with."""

from dataclasses import dataclass

import arcos
import numpy as np

FLOATS = [np.float32, np.float64]


@dataclass
class Case:
    features: np.ndarray
    labels: np.ndarray
    parameters: arcos.Parameters


def make(head, dtype=np.float64, rows=7, classes=5, dimension=4, seed=0):
    rng = np.random.default_rng(seed)
    features = 2 * rng.normal(size=(rows, dimension)).astype(dtype)
    labels = rng.integers(0, classes, size=rows)
    weights = rng.normal(size=(classes * head.centres, dimension)).astype(dtype)
    return Case(features, labels, head.initial_parameters(weights))
