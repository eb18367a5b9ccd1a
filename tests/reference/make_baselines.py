"""Baselines by scikit-learn: logistic regression, nearest rows, nearest class mean.

Writes baselines.npz beside this script; tests/baselines/reference.rs reproduces it.

    pip install numpy scikit-learn && python tests/reference/make_baselines.py
"""

from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

rng = np.random.default_rng(0)
CLASSES, DIMENSION = 6, 12
centres = 0.7 * rng.normal(size=(CLASSES, DIMENSION))


def rows(count):
    labels = rng.integers(CLASSES, size=count)
    return centres[labels] + rng.normal(size=(count, DIMENSION)) + 0.5, labels


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


features, labels = rows(150)
queries, _ = rows(200)
arrays = {"data/features": features, "data/labels": labels, "data/queries": queries}

# The objective, divided by C N: the mean loss and 1/(2 C N) of the squares of the weights.
for strength in [0.01, 1.0, 100.0]:
    model = LogisticRegression(C=strength, tol=1e-10, max_iter=100_000).fit(features, labels)
    logits = model.decision_function(features)
    largest = logits.max(axis=1, keepdims=True)
    log_sums = largest[:, 0] + np.log(np.exp(logits - largest).sum(axis=1))
    loss = np.mean(log_sums - logits[np.arange(len(labels)), labels])
    name = f"logistic/{strength:g}"
    arrays[f"{name}/value"] = loss + (model.coef_**2).sum() / (2 * strength * len(labels))
    arrays[f"{name}/weights"] = model.coef_
    arrays[f"{name}/predicted"] = model.predict(queries)

# Of votes that are equal scikit-learn takes the lowest class, arcos the nearest: those rows are marked.
for count in [1, 15]:
    model = KNeighborsClassifier(count, metric="cosine", algorithm="brute").fit(features, labels)
    votes = np.sort(model.predict_proba(queries), axis=1)
    arrays[f"nearest/{count}/predicted"] = model.predict(queries)
    arrays[f"nearest/{count}/tied"] = (votes[:, -1] == votes[:, -2]).astype(np.uint8)

means = NearestCentroid().fit(unit(features), labels).centroids_
arrays["means/vectors"] = unit(means)
arrays["means/predicted"] = np.argmax(unit(queries) @ unit(means).T, axis=1)

np.savez(Path(__file__).with_name("baselines.npz"), **arrays)
