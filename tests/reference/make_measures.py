"""Measures of embeddings by scikit-learn, pytorch-metric-learning and plain loops straight from the definitions.

Writes measures.npz beside this script; tests/measures/reference.rs reproduces it. Where ties matter, vectors have norm 1 and exact inner
products, so that no rounding decides.

    pip install numpy scikit-learn torch pytorch-metric-learning && python tests/reference/make_measures.py
"""

from pathlib import Path

import numpy as np
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score, roc_auc_score, roc_curve
from sklearn.model_selection import KFold

DISTRACTOR = -100
RANKS = range(1, 21)


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def clusters(rng, labels, dimension, spread):
    """Gaussian rows around a random centre for every class."""
    centres = rng.normal(size=(labels.max() + 1, dimension))
    return centres[labels] + spread * rng.normal(size=(len(labels), dimension))


def exact(rng, rows):
    """Vectors in 8 dimensions, one entry of ±0.75 and the others of ±0.25."""
    x = rng.choice([-0.25, 0.25], size=(rows, 8))
    x[np.arange(rows), rng.integers(8, size=rows)] *= 3.0
    return x


def exact_clusters(rng, labels, turned):
    """A vector like those of exact() for each class, in each row with the sign of some entries turned."""
    x = exact(rng, labels.max() + 1)[labels]
    return np.where(rng.random(x.shape) < turned, -x, x)


def neighbours(embeddings):
    """All other rows, most similar first, of equally similar ones the lower index first."""
    similarities = unit(embeddings) @ unit(embeddings).T
    return np.array([[j for j in np.argsort(-row, kind="stable") if j != i] for i, row in enumerate(similarities)])


def recall_at(nearest, labels, k):
    found = []
    for query, label in enumerate(labels):
        if np.sum(labels == label) > 1:
            found.append(np.any(labels[nearest[query, :k]] == label))
    return np.mean(found)


def retrieval(embeddings, labels):
    nearest = neighbours(embeddings)

    def knn(query, k, reference, ref_includes_query):
        """The calculator asks for k rows besides the query and has it in single precision only."""
        assert ref_includes_query and k == nearest.shape[1]
        return None, torch.from_numpy(nearest)

    names = {"precision_at_1": "precision_at_1", "r_precision": "r_precision", "mean_average_precision_at_r": "map_at_r"}
    calculator = AccuracyCalculator(include=tuple(names), knn_func=knn, device=torch.device("cpu"))
    measures = calculator.get_accuracy(unit(embeddings), labels)
    return {
        "embeddings": embeddings,
        "labels": labels,
        "recall_at": np.array([recall_at(nearest, labels, k) for k in [1, 2, 4, 8]]),
        **{name: measures[theirs] for theirs, name in names.items()},
    }


def retrieval_cases():
    rng = np.random.default_rng(104)
    labels = rng.permutation(np.repeat(np.arange(12), [2, 3, 4, 5, 6, 8, 9, 11, 14, 16, 19, 23]))
    yield "random", retrieval(clusters(rng, labels, 16, 1.3), labels)
    rng = np.random.default_rng(101)
    yield "ties", retrieval(rng.choice([-0.5, 0.5], size=(48, 4)), rng.integers(5, size=48))
    rng = np.random.default_rng(102)
    labels = rng.permutation(np.repeat(np.arange(8), [1, 1, 1, 4, 5, 6, 10, 12]))
    yield "lone", retrieval(unit(clusters(rng, labels, 8, 1.0)) * 10.0 ** rng.uniform(-2, 2, size=(40, 1)), labels)


def nmi_cases():
    rng = np.random.default_rng(200)
    random, other = rng.integers(6, size=60), rng.integers(4, size=60)
    partitions = [
        (random, other),
        (random, 10 - 3 * random),
        (random, np.zeros_like(random)),
        (random, np.where(rng.random(60) < 0.3, other, random)),
        (random, rng.permutation(60)),
        (np.full_like(random, 7), np.zeros_like(random)),
    ]
    for number, (a, b) in enumerate(partitions):
        yield f"nmi/{number}", {"labels_a": a, "labels_b": b, "value": normalized_mutual_info_score(a, b)}


def kmeans():
    rng = np.random.default_rng(300)
    points = unit(clusters(rng, rng.integers(10, size=200), 8, 0.5))
    found = KMeans(n_clusters=10, n_init=20, random_state=0).fit(points)
    return {"points": points, "inertia": found.inertia_, "labels": found.labels_.astype(np.int64)}


def equal_error_rate(fpr, tpr):
    """Where the polyline crosses tpr = 1 - fpr."""
    above = fpr + tpr - 1.0
    end = np.argmax(above >= 0.0)
    share = above[end - 1] / (above[end - 1] - above[end])
    return fpr[end - 1] + share * (fpr[end] - fpr[end - 1])


def correct(scores, same, threshold):
    return np.sum((scores >= threshold) == (same == 1))


def thresholds(scores):
    return [*np.unique(scores), np.inf]


def verification(scores, same, fars):
    fpr, tpr, _ = roc_curve(same, scores, drop_intermediate=False)
    impostors = np.sum(same == 0)
    return {
        "auc": roc_auc_score(same, scores),
        "eer": equal_error_rate(fpr, tpr),
        "tar_at_far": np.array([tpr[fpr <= far].max() if far * impostors >= 1 else np.nan for far in fars]),
        "best_accuracy": max(correct(scores, same, threshold) for threshold in thresholds(scores)) / len(scores),
    }


def random_scores(rng, same, gap=0.25):
    return 0.1 + gap * same + 0.15 * rng.normal(size=len(same))


def verification_cases():
    rng = np.random.default_rng(400)
    same = (rng.random(1000) < 0.4).astype(np.uint8)
    cases = {"scores_random": (random_scores(rng, same), same)}
    same = (rng.random(1200) < 0.1).astype(np.uint8)
    cases["scores_ties"] = np.round(random_scores(rng, same, gap=0.5), 1), same
    cases["scores_few"] = np.array([0.3, 0.7, -0.2, 0.7, 0.9, 0.4, 0.1]), np.array([1, 1, 0, 0, 1, 0, 0], dtype=np.uint8)
    for case, (scores, same) in cases.items():
        yield case, {"scores": scores, "same": same, **verification(scores, same, [1e-1, 1e-2, 1e-3])}


def folds(scores, same):
    """Of equally good thresholds the highest."""
    accuracies, chosen = [], []
    for train, test in KFold(10, shuffle=False).split(scores):
        best = max(thresholds(scores[train]), key=lambda threshold: (correct(scores[train], same[train], threshold), threshold))
        chosen.append(best)
        accuracies.append(correct(scores[test], same[test], best) / len(test))
    return {
        "scores": scores,
        "same": same,
        "fold_accuracies": np.array(accuracies),
        "thresholds": np.array(chosen),
        "mean": np.mean(accuracies),
        "std": np.std(accuracies),
    }


def folds_cases():
    rng = np.random.default_rng(500)
    same = np.tile(np.repeat(np.array([1, 0], dtype=np.uint8), 30), 10)
    yield "folds_random", folds(random_scores(rng, same), same)
    yield "folds_ties", folds(np.round(random_scores(rng, same), 2), same)
    # So little between same and different that for one fold nothing beats calling all pairs different.
    rng = np.random.default_rng(501)
    same = (rng.random(103) < 0.3).astype(np.uint8)
    yield "folds_uneven", folds(random_scores(rng, same, gap=0.05), same)


def cmc(ranks):
    return np.array([np.mean([rank <= k for rank in ranks]) for k in RANKS])


def identification(probes, probe_labels, gallery, gallery_labels):
    ranks = []
    for label, similarities in zip(probe_labels, unit(probes) @ unit(gallery).T):
        own = gallery_labels == label
        if own.any():
            ranks.append(1 + np.sum(similarities[~own] >= similarities[own].max()))
    return {
        "probes": probes,
        "probe_labels": probe_labels,
        "gallery": gallery,
        "gallery_labels": gallery_labels,
        "cmc": cmc(ranks),
    }


def identification_cases():
    """The gallery of "closed" lacks class 30, the probes class 0; that of "distractors" lacks class 12."""
    rng = np.random.default_rng(600)
    labels = np.concatenate([np.arange(30), rng.permutation(np.tile(np.arange(1, 31), 3))])
    x = clusters(rng, labels, 8, 0.9)
    yield "closed", identification(x[30:], labels[30:], x[:30], labels[:30])
    rng = np.random.default_rng(601)
    labels = np.concatenate([np.arange(12), rng.integers(6, size=12), rng.permutation(np.tile(np.arange(13), 4))])
    x = exact_clusters(rng, labels, 0.15)
    order = rng.permutation(224)
    gallery = np.concatenate([x[:24], exact(rng, 200)])[order]
    gallery_labels = np.concatenate([labels[:24], np.full(200, DISTRACTOR)])[order]
    yield "distractors", identification(x[24:], labels[24:], gallery, gallery_labels)


def megaface(embeddings, labels, distractors):
    between, to_distractors = unit(embeddings) @ unit(embeddings).T, unit(embeddings) @ unit(distractors).T
    ranks = []
    for i, label in enumerate(labels):
        for j in np.flatnonzero(labels == label):
            if j != i:
                ranks.append(1 + np.sum(to_distractors[i] >= between[i, j]))
    return {"embeddings": embeddings, "labels": labels, "distractors": distractors, "cmc": cmc(ranks)}


def megaface_cases():
    rng = np.random.default_rng(700)
    labels = rng.permutation(np.repeat(np.arange(7), [1, 2, 3, 4, 5, 5, 6]))
    yield "megaface", megaface(clusters(rng, labels, 8, 0.8), labels, rng.normal(size=(60, 8)))
    yield "megaface_ties", megaface(exact_clusters(rng, labels, 0.25), labels, exact(rng, 60))


def pairs_all():
    rng = np.random.default_rng(800)
    labels = rng.integers(8, size=80)
    embeddings = clusters(rng, labels, 8, 0.9)
    i, j = np.triu_indices(80, k=1)
    scores = (unit(embeddings) @ unit(embeddings).T)[i, j]
    return {"embeddings": embeddings, "labels": labels, **verification(scores, labels[i] == labels[j], [1e-1, 1e-2])}


def main():
    cases = [
        *retrieval_cases(),
        *nmi_cases(),
        ("kmeans", kmeans()),
        *verification_cases(),
        *folds_cases(),
        *identification_cases(),
        *megaface_cases(),
        ("pairs_all", pairs_all()),
    ]
    path = Path(__file__).with_name("measures.npz")
    np.savez(path, **{f"{case}/{name}": np.asarray(array) for case, arrays in cases for name, array in arrays.items()})
    print(f"{len(cases)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
