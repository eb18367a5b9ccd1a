"""What a step minimises, against formulas in NumPy."""

import arcos
import case
import numpy as np
import pytest

HEAD = arcos.heads.NormSoftmax(scale=4)


def reference(batch, smoothing=0.0, focal=0.0, z_loss=0.0, targets=None):
    """Losses of rows."""
    logits = HEAD.logits(batch.features, batch.parameters)
    log_sum = np.log(np.exp(logits).sum(axis=1))
    one_hot = np.eye(5)[batch.labels]
    targets = one_hot if targets is None else targets
    targets = (1 - smoothing) * targets + smoothing / 5
    cross_entropy = log_sum - (targets * logits).sum(axis=1)
    p = np.exp(logits - log_sum[:, None])[one_hot.astype(bool)]
    return (1 - p) ** focal * cross_entropy + z_loss * log_sum**2


@pytest.mark.parametrize("engine", ["explicit", "streaming"])
@pytest.mark.parametrize(
    ("keywords", "losses", "weigh"),
    [
        ({}, {}, lambda labels: np.ones(7)),
        ({"label_smoothing": 0.2}, {"smoothing": 0.2}, lambda labels: np.ones(7)),
        ({"focal": 2.0}, {"focal": 2.0}, lambda labels: np.ones(7)),
        ({"z_loss": 0.01}, {"z_loss": 0.01}, lambda labels: np.ones(7)),
        ({"class_weights": [1, 2, 0.5, 4, 3]}, {}, lambda labels: np.array([1, 2, 0.5, 4, 3])[labels]),
        ({"sample_weights": np.arange(7) + 1}, {}, lambda labels: np.arange(7) + 1.0),
        ({"label_smoothing": 0.1, "class_weights": [1, 2, 0.5, 4, 3], "sample_weights": np.arange(7.0)},
         {"smoothing": 0.1}, lambda labels: np.array([1, 2, 0.5, 4, 3])[labels] * np.arange(7)),
    ],
)
def test_losses_are_those_of_the_formula(engine, keywords, losses, weigh):
    batch = case.make(HEAD)

    def step(**reduction):
        arguments = batch.features, batch.parameters, batch.labels
        if engine == "explicit":
            return HEAD.forward_backward(*arguments, **keywords, **reduction)
        return arcos.Streaming().forward_backward(HEAD, *arguments, **keywords, **reduction)

    expected, weights = reference(batch, **losses), weigh(batch.labels)
    assert step().loss == pytest.approx((weights * expected).sum() / weights.sum(), rel=1e-10)
    assert step(reduction="sum").loss == pytest.approx((weights * expected).sum(), rel=1e-10)


def test_soft_targets_take_the_place_of_labels():
    batch = case.make(HEAD)
    rng = np.random.default_rng(3)
    classes = np.stack([rng.permutation(5)[:3] for _ in range(7)])
    probabilities = rng.dirichlet(np.ones(3), size=7)
    targets = np.zeros((7, 5))
    np.put_along_axis(targets, classes, probabilities, axis=1)
    step = HEAD.forward_backward(
        batch.features, batch.parameters, batch.labels, soft_targets=(classes, probabilities)
    )
    np.testing.assert_allclose(step.row_losses, reference(batch, targets=targets), rtol=1e-10)
