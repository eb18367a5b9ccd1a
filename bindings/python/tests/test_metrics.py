"""Measures against scikit-learn and against NumPy."""

import arcos
import numpy as np
import pytest
from sklearn import metrics as reference


@pytest.fixture
def rows():
    rng = np.random.default_rng(7)
    labels = np.arange(60) % 6
    return rng.normal(size=(6, 8))[labels] + 1.2 * rng.normal(size=(60, 8)), labels


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_retrieval(rows, dtype):
    embeddings, labels = rows
    similarities = unit(embeddings) @ unit(embeddings).T
    np.fill_diagonal(similarities, -np.inf)
    right = labels[np.argsort(-similarities, axis=1)[:, :-1]] == labels[:, None]
    found = arcos.metrics.retrieval(embeddings.astype(dtype), labels, [1, 2, 4])
    assert found.queries == 60
    assert found.recall == pytest.approx({k: right[:, :k].any(axis=1).mean() for k in [1, 2, 4]})
    assert found.r_precision == pytest.approx(right[:, :9].mean())
    precisions = right[:, :9].cumsum(axis=1) / np.arange(1, 10) * right[:, :9]
    assert found.map_at_r == pytest.approx((precisions.sum(axis=1) / 9).mean())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_verification(rows, dtype):
    embeddings, labels = rows
    first, second = np.triu_indices(60, 1)
    same = labels[first] == labels[second]
    cosines = (unit(embeddings)[first] * unit(embeddings)[second]).sum(axis=1)
    scores = arcos.metrics.pair_scores(embeddings.astype(dtype), list(zip(first, second)))
    np.testing.assert_allclose(scores, cosines, atol=1e-6)
    for roc in [arcos.metrics.all_pairs(embeddings.astype(dtype), labels), arcos.metrics.roc(scores, same.tolist())]:
        assert roc.auc == pytest.approx(reference.roc_auc_score(same, cosines), abs=1e-6)
        false_accepts, true_accepts, _ = reference.roc_curve(same, cosines, drop_intermediate=False)
        assert roc.tar_at_far(0.1) == pytest.approx(true_accepts[false_accepts <= 0.1].max(), abs=1e-6)
        assert roc.tar_at_far(1e-5) is None
        crossing = np.interp(0, false_accepts + true_accepts - 1, false_accepts)
        assert roc.eer == pytest.approx(crossing, abs=1e-6)
        right = true_accepts * same.sum() + (1 - false_accepts) * (~same).sum()
        assert roc.best_accuracy()[0] == pytest.approx(right.max() / len(same))
        assert roc.true_accepts[-1] == same.sum() and roc.false_accepts[-1] == (~same).sum()
        assert np.isinf(roc.thresholds[0])


def test_identification(rows):
    embeddings, labels = rows
    probes, gallery = embeddings[:20], embeddings[20:]
    similarities = unit(probes) @ unit(gallery).T
    own = labels[20:] == labels[:20, None]
    best = np.where(own, similarities, -np.inf).max(axis=1, keepdims=True)
    ranks = 1 + ((similarities >= best) & ~own).sum(axis=1)
    found = arcos.metrics.cmc(probes, labels[:20], gallery, labels[20:], ranks=5)
    assert found.searches == 20
    assert found.rates == pytest.approx([(ranks <= rank).mean() for rank in range(1, 6)])


def test_identification_among_distractors(rows):
    embeddings, labels = rows
    people, distractors = embeddings[:20], embeddings[20:]
    own, others = unit(people) @ unit(people).T, unit(people) @ unit(distractors).T
    ranks = [
        1 + (others[probe] >= own[probe, mate]).sum()
        for probe in range(20)
        for mate in range(20)
        if mate != probe and labels[mate] == labels[probe]
    ]
    found = arcos.metrics.cmc_among_distractors(people, labels[:20], distractors, ranks=5)
    assert found.searches == len(ranks)
    assert found.rates == pytest.approx([(np.array(ranks) <= rank).mean() for rank in range(1, 6)])


def test_clustering(rows):
    embeddings, labels = rows
    clusters, centres, inertia = arcos.metrics.k_means(embeddings, 6, runs=3)
    distances = ((unit(embeddings)[:, None] - centres) ** 2).sum(axis=2)
    np.testing.assert_array_equal(clusters, distances.argmin(axis=1))
    assert inertia == pytest.approx(distances.min(axis=1).sum())
    found = arcos.metrics.normalized_mutual_information(clusters, labels)
    assert found == pytest.approx(reference.normalized_mutual_info_score(labels, clusters))


def test_what_is_not_defined_is_an_error(rows):
    embeddings, _ = rows
    with pytest.raises(ValueError, match="retrieval of 60 rows without two of one class is not defined"):
        arcos.metrics.retrieval(embeddings, np.arange(60))
    with pytest.raises(ValueError, match="labels has shape"):
        arcos.metrics.all_pairs(embeddings, [1, 2])
