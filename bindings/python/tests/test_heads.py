"""Every head against finite differences, and some against their formula in NumPy."""

import copy
import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import arcos
import case
import numpy as np
import pytest
from arcos._arcos import head_list

NAMES = [name for name, *_ in head_list()]
# By default their gradient is by design not the derivative of their loss.
DERIVATIVES = {"sphereface-r": {"gradient": "true"}, "circle": {"gradient": "true"}}
# Statistics of the batch are constants to the gradient, and change as the features do.
FOLLOW_BATCH = {"adacos", "adaface", "curricularface"}


def class_of(name):
    return getattr(arcos.heads, next(class_name for other, class_name, *_ in head_list() if other == name))


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def cross_entropy(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    return log_sum - shifted[np.arange(len(labels)), labels]


def margin_loss(batch, scale, target):
    cosines = unit(batch.features) @ unit(batch.parameters.weights).T
    of_labels = np.arange(len(batch.labels)), batch.labels
    theta = np.arccos(cosines[of_labels])
    cosines[of_labels] = target(theta)
    return cross_entropy(scale * cosines, batch.labels)


@pytest.mark.parametrize(
    ("head", "scale", "target"),
    [
        (arcos.heads.NormSoftmax(scale=16), 16, np.cos),
        (arcos.heads.CosFace(scale=8, margin=0.35), 8, lambda theta: np.cos(theta) - 0.35),
        (arcos.heads.ArcFace(scale=8, margin=0.5, past_pi="plain"), 8, lambda theta: np.cos(theta + 0.5)),
        (
            arcos.heads.CombinedMargin(scale=8, m1=0.9, m2=0.4, m3=0.15),
            8,
            lambda theta: np.cos(0.9 * theta + 0.4) - 0.15,
        ),
        (arcos.heads.FixedAdaCos(), np.sqrt(2) * np.log(4), np.cos),
    ],
)
def test_losses_are_those_of_the_formula(head, scale, target):
    batch = case.make(head)
    expected = margin_loss(batch, scale, target)
    step = head.forward_backward(batch.features, batch.parameters, batch.labels)
    np.testing.assert_allclose(step.row_losses, expected, rtol=1e-10)
    assert step.loss == pytest.approx(expected.mean(), rel=1e-12)
    assert step.scale == pytest.approx(scale)


def test_adacos_gives_the_scale_of_the_paper_and_goes_on_from_it():
    head = arcos.heads.AdaCos()
    batch = case.make(head)
    cosines = unit(batch.features) @ unit(batch.parameters.weights).T
    rows = np.arange(len(batch.labels))
    others = np.ones_like(cosines, dtype=bool)
    others[rows, batch.labels] = False
    scale = batch.parameters.state["scale"]
    assert scale == pytest.approx(np.sqrt(2) * np.log(4))
    for _ in range(2):
        step = head.forward_backward(batch.features, batch.parameters, batch.labels)
        b_avg = (np.exp(scale * cosines) * others).sum(axis=1).mean()
        median = np.median(np.arccos(cosines[rows, batch.labels]))
        scale = np.log(b_avg) / np.cos(min(np.pi / 4, median))
        assert step.state["scale"] == pytest.approx(scale, rel=1e-10)
        batch.parameters.state = step.state


@pytest.mark.parametrize("name", [name for name in NAMES if name not in FOLLOW_BATCH])
def test_gradients_are_finite_differences(name):
    head = arcos.Head(name)
    batch = case.make(head, rows=4, classes=3, dimension=3)
    # Scales of papers make losses that differences are too coarse for.
    scale = {"scale": 4.0} if "scale" in class_of(name)().options else {}
    head = arcos.Head(name, **scale, **DERIVATIVES.get(name, {}))

    def loss():
        return head.forward_backward(batch.features, batch.parameters, batch.labels).loss

    step = head.forward_backward(batch.features, batch.parameters, batch.labels)
    gradients = {"features": step.d_features, "weights": step.d_weights, **step.d_vectors}
    arrays = {"features": batch.features, "weights": batch.parameters.weights, **batch.parameters.vectors}
    assert gradients.keys() == arrays.keys()
    for of, array in arrays.items():
        differences = np.empty_like(array)
        for index in np.ndindex(array.shape):
            value, h = array[index], 1e-6
            array[index] = value + h
            above = loss()
            array[index] = value - h
            differences[index] = (above - loss()) / (2 * h)
            array[index] = value
        np.testing.assert_allclose(gradients[of], differences, rtol=1e-5, atol=1e-7, err_msg=f"{name} {of}")


@pytest.mark.parametrize("dtype", case.FLOATS)
@pytest.mark.parametrize("name", NAMES)
def test_both_kernels_agree_in_both_types(name, dtype):
    head = arcos.Head(name)
    batch = case.make(head, dtype=dtype, rows=9, classes=6)
    explicit = head.forward_backward(batch.features, batch.parameters, batch.labels)
    streaming = arcos.Streaming(threads=2).forward_backward(head, batch.features, batch.parameters, batch.labels)
    tolerance = 1e-3 if dtype == np.float32 else 1e-9
    for of in ["loss", "row_losses", "d_features", "d_weights", "scale", "correct"]:
        found, expected = getattr(streaming, of), getattr(explicit, of)
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=of)
    assert streaming.d_vectors.keys() == explicit.d_vectors.keys()
    assert streaming.d_weights.dtype == explicit.d_features.dtype == explicit.row_losses.dtype == dtype
    assert streaming.state == pytest.approx(explicit.state, rel=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_of_classes_are_those_of_the_library(name):
    head = class_of(name)()
    batch = case.make(head)
    by_name = arcos.Head(name)
    found = head.forward_backward(batch.features, batch.parameters, batch.labels)
    expected = by_name.forward_backward(batch.features, batch.parameters, batch.labels)
    assert found.loss == expected.loss
    np.testing.assert_array_equal(found.d_weights, expected.d_weights)
    assert head.name == by_name.name == name
    assert list(head.options) == list(inspect.signature(class_of(name)).parameters)


def test_the_classes_are_current():
    generator = Path(__file__).parent.parent / "generate_heads.py"
    subprocess.run([sys.executable, generator, "--check"], check=True)


def test_logits_have_no_margin():
    head = arcos.heads.ArcFace(scale=8)
    batch = case.make(head)
    expected = 8 * unit(batch.features) @ unit(batch.parameters.weights).T
    np.testing.assert_allclose(head.logits(batch.features, batch.parameters), expected, rtol=1e-12)
    np.testing.assert_allclose(head.logits(batch.features, batch.parameters.weights), expected, rtol=1e-12)


def test_bias_is_a_vector_of_the_parameters():
    head = arcos.heads.Softmax()
    batch = case.make(head)
    batch.parameters.vectors["bias"][:] = [1, -1, 0.5, 2, 0]
    logits = batch.features @ batch.parameters.weights.T + batch.parameters.vectors["bias"]
    np.testing.assert_allclose(head.logits(batch.features, batch.parameters), logits, rtol=1e-12)
    step = head.forward_backward(batch.features, batch.parameters, batch.labels)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probabilities[np.arange(7), batch.labels] -= 1
    np.testing.assert_allclose(step.d_vectors["bias"], probabilities.mean(axis=0), rtol=1e-9)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda head: pickle.loads(pickle.dumps(head))])
def test_heads_are_copied_with_what_they_know_of_classes(duplicate):
    head = arcos.heads.Ldam(scale=8, largest_margin=0.3)
    head.count_classes([16, 1, 81, 2, 3])
    batch = case.make(head)
    again = duplicate(head)
    assert type(again) is arcos.heads.Ldam and again.options == head.options
    margins = 0.3 * np.array([16, 1, 81, 2, 3]) ** -0.25
    expected = margin_loss(batch, 8, lambda theta: np.cos(theta) - margins[batch.labels])
    found = again.forward_backward(batch.features, batch.parameters, batch.labels)
    np.testing.assert_allclose(found.row_losses, expected, rtol=1e-10)
    assert repr(duplicate(arcos.Head("cosface", margin=0.2))) == "Head('cosface', margin=0.2)"
    assert repr(arcos.heads.CosFace(margin=0.2)).startswith("CosFace(scale=64.0, margin=0.2")


def test_options_that_python_reserves_have_another_name():
    assert arcos.heads.DynamicArcFace(lambda_=0.5).options["lambda_"] == 0.5
    with pytest.raises(ValueError, match="lambda is -1"):
        arcos.heads.DynamicArcFace(lambda_=-1)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: arcos.Head("arcfase"), ValueError, 'no head is called "arcfase"; expected one of softmax'),
        (lambda: arcos.Head("arcface", margn=1), TypeError, "arcface has no margn; it takes scale, margin"),
        (lambda: arcos.heads.ArcFace(margin=4), ValueError, r"margin is 4; expected an angle in \[0, π\] radians"),
        (lambda: arcos.heads.ArcFace(past_pi="soft"), ValueError, "past-pi is soft; expected monotone"),
        (lambda: arcos.heads.SubCenterArcFace(centres=1.5), ValueError, "centres is 1.5; expected a whole number"),
    ],
)
def test_wrong_options_are_errors_with_the_library_s_message(make, error, message):
    with pytest.raises(error, match=message):
        make()
