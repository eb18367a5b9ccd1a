"""Arrays as NumPy has them: types, layouts, memory; and what is refused."""

import subprocess
import sys
import threading

import arcos
import case
import numpy as np
import pytest

HEAD = arcos.heads.CosFace(scale=8)


def step_of(batch, **changed):
    inputs = {"features": batch.features, "parameters": batch.parameters, "labels": batch.labels, **changed}
    return HEAD.forward_backward(**inputs)


@pytest.mark.parametrize("dtype", case.FLOATS)
def test_any_layout_gives_the_same(dtype):
    batch = case.make(HEAD, dtype)
    expected = step_of(batch)
    wide = np.repeat(np.repeat(batch.features, 2, axis=0), 2, axis=1)[::2, ::2]
    backwards = batch.features[::-1].copy()[::-1]
    unaligned = np.frombuffer(b"x" + batch.features.tobytes(), dtype, offset=1).reshape(batch.features.shape)
    readonly = batch.features.copy()
    readonly.flags.writeable = False
    assert not unaligned.flags.aligned
    for features in [np.asfortranarray(batch.features), wide, backwards, unaligned, readonly]:
        for weights in [batch.parameters.weights, np.asfortranarray(batch.parameters.weights)]:
            found = step_of(batch, features=features, parameters=weights)
            np.testing.assert_array_equal(found.d_weights, expected.d_weights)
            np.testing.assert_array_equal(found.d_features, expected.d_features)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.uint64, ">i4"])
def test_labels_are_integers_of_any_type(dtype):
    batch = case.make(HEAD)
    expected = step_of(batch).loss
    assert step_of(batch, labels=batch.labels.astype(dtype)).loss == expected
    assert step_of(batch, labels=batch.labels.tolist()).loss == expected


def test_rows_without_a_label_take_no_part():
    batch = case.make(HEAD)
    labels = batch.labels.copy()
    labels[[1, 4]] = -100
    step = step_of(batch, labels=labels)
    labelled = labels != -100
    expected = step_of(batch, features=batch.features[labelled], labels=labels[labelled])
    assert step.loss == pytest.approx(expected.loss, rel=1e-12)
    assert step.labelled == 5 and not step.d_features[[1, 4]].any()


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"features": np.ones((7, 4), int)}, TypeError, "features has type int64; expected float32 or float64"),
        ({"features": np.ones((7, 4), ">f8")}, TypeError, "features has type >f8; expected float32 or float64"),
        ({"features": np.ones((7, 4), np.float32)}, TypeError, "weights has type float64; expected float32"),
        ({"features": np.ones(4)}, ValueError, r"features has shape \[4\]; expected \(rows, columns\)"),
        ({"features": np.ones((7, 3))}, ValueError, "has shape"),
        ({"labels": np.ones(7)}, TypeError, "labels has type float64; expected whole numbers"),
        ({"labels": np.full(7, 5)}, ValueError, r"labels\[0\] is 5; expected 0 to 4"),
        ({"labels": [0, 1]}, ValueError, r"labels has shape \[2\]; expected \(7,\)"),
        ({"features": np.full((7, 4), np.nan)}, ValueError, r"features\[0, 0\] is NaN; expected a finite number"),
        ({"features": np.zeros((7, 4))}, ValueError, "features row 0 has norm 0"),
        ({"label_smoothing": 1.5}, ValueError, "label smoothing is 1.5; expected a number from 0 to below 1"),
        ({"smoothing": 0.1}, TypeError, "no keyword is called smoothing; expected label_smoothing"),
        ({"reduction": "none"}, ValueError, "reduction is none; expected mean or sum"),
        ({"sample_weights": [1.0]}, ValueError, "sample_weights has shape"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changed, error, message):
    with pytest.raises(error, match=message):
        step_of(case.make(HEAD), **changed)


def test_class_vectors_are_read_where_they_are():
    """200 MB of them in a process of its own, whose peak of memory is that of the arrays."""
    script = """
import arcos, resource, numpy as np
weights = np.ones((100_000, 512), np.float32)
features, kernel = np.random.default_rng(0).normal(size=(8, 512)).astype(np.float32), arcos.Streaming(workspace=0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
kernel.evaluate(arcos.heads.CosFace(), features, weights, np.arange(8))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert float(output) < 100


def test_other_threads_run_meanwhile():
    head = arcos.heads.ArcFace()
    batch = case.make(head, np.float32, rows=256, classes=20_000, dimension=128)
    count, done = 0, threading.Event()

    def work():
        head.forward_backward(batch.features, batch.parameters, batch.labels)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.wait(0.001):
        count += 1
    thread.join()
    assert count >= 3


def test_threads_share_a_kernel():
    batch = case.make(HEAD, np.float32, rows=64, classes=500, dimension=32)
    kernel = arcos.Streaming()
    expected = kernel.forward_backward(HEAD, batch.features, batch.parameters, batch.labels).d_weights
    found = []

    def work():
        found.append(kernel.forward_backward(HEAD, batch.features, batch.parameters, batch.labels).d_weights)

    threads = [threading.Thread(target=work) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(found) == 8
    for gradient in found:
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-7)
