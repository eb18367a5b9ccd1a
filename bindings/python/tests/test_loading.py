"""Weights of other projects give their losses."""

import arcos
import numpy as np
import pytest
from scipy.special import logsumexp

ROWS, CLASSES, DIMENSION = 9, 6, 5


def batch(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(ROWS, DIMENSION)), rng.integers(CLASSES, size=ROWS), rng.normal(size=(DIMENSION, CLASSES))


def cosines_of(features, columns):
    return features @ columns / np.linalg.norm(features, axis=1, keepdims=True) / np.linalg.norm(columns, axis=0)


def cross_entropy(logits, labels):
    return (logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]).mean()


def test_processes_of_insightface_are_joined():
    features, labels, columns = batch()
    logits = cosines_of(features, columns)
    logits[np.arange(ROWS), labels] -= 0.4
    parts = [{"weight": columns.T[:4]}, {"weight": columns.T[4:]}]
    loss = arcos.heads.CosFace(scale=64, margin=0.4).forward_backward(features, arcos.load_insightface(*parts), labels).loss
    assert loss == pytest.approx(cross_entropy(64 * logits, labels), rel=1e-12)


def test_kernel_and_bias_of_keras():
    features, labels, kernel = batch()
    bias = np.linspace(-1, 1, CLASSES)
    loss = arcos.heads.Softmax().forward_backward(features, arcos.load_keras(kernel, bias), labels).loss
    assert loss == pytest.approx(cross_entropy(features @ kernel + bias, labels), rel=1e-12)
    assert arcos.load_keras(kernel).vectors == {}


def test_what_is_loaded_is_a_copy():
    weights = np.ones((CLASSES, DIMENSION), np.float32)
    for parameters in (arcos.load_insightface({"weight": weights}), arcos.load_pml({"W": weights}, version=3)):
        parameters.weights[:] = 0
    assert weights.all()


def test_what_is_wrong_is_said():
    for call, error, message in [
        (lambda: arcos.load_pml({"w": np.ones((2, 2))}), ValueError, r"0 tensors called W, among \['w'\]"),
        (lambda: arcos.load_pml({"a.W": 0, "b.W": 0}), ValueError, "2 tensors called W"),
        (lambda: arcos.load_pml({"W": np.ones(2)}), ValueError, r"W has shape \(2,\)"),
        (lambda: arcos.load_pml({"W": np.ones((2, 2), int)}), TypeError, "W has type int64"),
        (lambda: arcos.load_pml({"W": np.ones((2, 2))}, version=1), ValueError, "version is 1; expected 2 or 3"),
        (lambda: arcos.load_keras(np.ones((2, 3)), np.ones(2)), ValueError, r"bias has shape \(2,\); expected \(3,\)"),
        (lambda: arcos.load_insightface(), TypeError, "no state_dict"),
    ]:
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parametrize(
    "name, options, head",
    [
        ("ArcFaceLoss", {"margin": 28.6, "scale": 32}, arcos.heads.ArcFace(scale=32, margin=np.radians(28.6))),
        ("CosFaceLoss", {"margin": 0.3, "scale": 32}, arcos.heads.CosFace(scale=32, margin=0.3)),
        ("NormalizedSoftmaxLoss", {"temperature": 0.05}, arcos.heads.NormSoftmax(scale=20)),
        (
            "SubCenterArcFaceLoss",
            {"margin": 20.0, "scale": 16, "sub_centers": 2},
            arcos.heads.SubCenterArcFace(scale=16, margin=np.radians(20.0), centres=2),
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_losses_are_those_of_pytorch_metric_learning(name, options, head):
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    torch = pytest.importorskip("torch")
    features, labels, _ = batch()
    torch.manual_seed(0)
    theirs = getattr(losses, name)(num_classes=CLASSES, embedding_size=DIMENSION, **options).double()
    expected = theirs(torch.from_numpy(features), torch.from_numpy(labels)).item()
    parameters = arcos.load_pml(theirs.state_dict())
    assert head.forward_backward(features, parameters, labels).loss == pytest.approx(expected, rel=1e-6)
