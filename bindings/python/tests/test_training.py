"""Steps that update, against the same in NumPy."""

import pickle

import arcos
import case
import numpy as np
import pytest


def sgd(values, gradient, moments, step, rate):
    moments["v"] = 0.9 * moments.get("v", 0) + gradient
    return values - rate * moments["v"]


def rmsprop(values, gradient, moments, step, rate):
    moments["v"] = 0.9 * moments.get("v", 0) + 0.1 * gradient**2
    return values - rate * gradient / (np.sqrt(moments["v"]) + 1e-7)


def adamw(values, gradient, moments, step, rate):
    decay = 0.05 if values.ndim > 1 else 0.0
    moments["m"] = 0.9 * moments.get("m", 0) + 0.1 * gradient
    moments["v"] = 0.999 * moments.get("v", 0) + 0.001 * gradient**2
    mean, square = moments["m"] / (1 - 0.9**step), moments["v"] / (1 - 0.999**step)
    return values - rate * (mean / (np.sqrt(square) + 1e-8) + decay * values)


OPTIMIZERS = [
    (lambda: arcos.optim.SGD(0.1), sgd),
    (lambda: arcos.optim.RMSprop(0.01), rmsprop),
    (lambda: arcos.optim.AdamW(0.01, weight_decay=0.05), adamw),
]


@pytest.mark.parametrize(("make", "rule"), OPTIMIZERS)
@pytest.mark.parametrize("head", [arcos.heads.Softmax(), arcos.heads.AdaCos(), arcos.heads.UniFace()])
def test_a_fused_step_is_gradient_and_update(head, make, rule):
    batch = case.make(head)
    weights = batch.parameters.weights
    expected = arcos.Parameters(weights.copy(), {name: v.copy() for name, v in batch.parameters.vectors.items()},
                                dict(batch.parameters.state))
    kernel, optimizer, moments = arcos.Streaming(), make(), {"weights": {}}
    for number in range(1, 5):
        optimizer.learning_rate = rate = 0.02 / number
        reference = head.forward_backward(batch.features, expected, batch.labels)
        step = kernel.train_step(head, batch.features, batch.parameters, batch.labels, optimizer, d_features=True)
        assert step.loss == pytest.approx(reference.loss, rel=1e-9)
        np.testing.assert_allclose(step.d_features, reference.d_features, rtol=1e-8, atol=1e-12)
        expected.weights = rule(expected.weights, reference.d_weights, moments["weights"], number, rate)
        for name, gradient in reference.d_vectors.items():
            expected.vectors[name] = rule(expected.vectors[name], gradient, moments.setdefault(name, {}), number, rate)
        expected.state = reference.state
    assert batch.parameters.weights is weights and optimizer.steps == 4
    np.testing.assert_allclose(weights, expected.weights, rtol=1e-8)
    for name, vector in batch.parameters.vectors.items():
        np.testing.assert_allclose(vector, expected.vectors[name], rtol=1e-8, atol=1e-12)
    assert batch.parameters.state == pytest.approx(expected.state)
    assert step.d_weights is None and step.d_vectors == {}


@pytest.mark.parametrize(("make", "rule"), OPTIMIZERS)
def test_an_optimizer_updates_arrays_and_is_pickled_with_its_moments(make, rule):
    rng = np.random.default_rng(5)
    values = [rng.normal(size=(3, 2)), rng.normal(size=4)]
    expected, moments, optimizer = [array.copy() for array in values], [{}, {}], make()
    for number in range(1, 4):
        gradients = [rng.normal(size=array.shape) for array in values]
        optimizer.update(values, gradients)
        expected = [
            rule(*of_array, number, optimizer.learning_rate) for of_array in zip(expected, gradients, moments)
        ]
        optimizer = pickle.loads(pickle.dumps(optimizer))
        assert optimizer.steps == number
    for found, array in zip(values, expected):
        np.testing.assert_allclose(found, array, rtol=1e-10)
    assert repr(optimizer) == repr(make())


def test_moments_that_no_optimizer_has_are_refused():
    optimizer = arcos.optim.AdamW(0.1)
    for first, second in [([np.nan], [1.0]), ([0.0], [np.inf]), ([0.0], [-1.0])]:
        with pytest.raises(ValueError, match="moments has NaN, infinity or a negative square"):
            optimizer.__setstate__((1, True, [(np.array(first), np.array(second))]))


def test_training_finds_classes():
    rng = np.random.default_rng(2)
    centres = rng.normal(size=(20, 16))
    labels = np.arange(400) % 20
    features = (centres[labels] + 0.3 * rng.normal(size=(400, 16))).astype(np.float32)
    head = arcos.heads.ArcFace(scale=16, margin=0.2)
    parameters = head.initial_parameters(arcos.glorot_normal(20, 16))
    kernel, optimizer = arcos.Streaming(filter=1e-7), arcos.optim.AdamW(0.02)
    losses = [kernel.train_step(head, features, parameters, labels, optimizer).loss for _ in range(60)]
    loss, labelled, correct, top5 = kernel.evaluate(head, features, parameters, labels)
    logits = head.logits(features, parameters)
    assert losses[-1] < losses[0] / 10 and labelled == 400
    assert correct == (logits.argmax(axis=1) == labels).sum() >= 396
    top = np.argsort(-logits, axis=1)[:, :5]
    assert top5 == (top == labels[:, None]).any(axis=1).sum()
    log_sum = np.log(np.exp(logits.astype(float)).sum(axis=1))
    assert loss == pytest.approx((log_sum - logits[np.arange(400), labels]).mean(), rel=1e-3)


def test_a_step_that_fails_changes_nothing():
    head = arcos.heads.Softmax()
    batch = case.make(head)
    optimizer = arcos.optim.SGD(0.1)
    before = batch.parameters.weights.copy()
    for features, labels in [(batch.features * np.nan, batch.labels), (batch.features, batch.labels + 9)]:
        with pytest.raises(ValueError, match="expected"):
            arcos.Streaming().train_step(head, features, batch.parameters, labels, optimizer)
    np.testing.assert_array_equal(batch.parameters.weights, before)
    assert optimizer.steps == 0
    arcos.Streaming().train_step(head, batch.features, batch.parameters, batch.labels, optimizer)
    assert optimizer.steps == 1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda weights: np.asfortranarray(weights), ValueError, "weights has shape .* row-major order"),
        (lambda weights: weights.astype(np.float32), TypeError, "weights has type float32; expected float64"),
        (lambda weights: np.broadcast_to(weights[:1], weights.shape), ValueError, "weights is read-only"),
        (lambda weights: weights.tolist(), TypeError, "weights is no NumPy array"),
    ],
)
def test_class_vectors_that_cannot_be_stepped_in_place_are_refused(change, error, message):
    head = arcos.heads.CosFace()
    batch = case.make(head)
    batch.parameters.weights = change(batch.parameters.weights)
    with pytest.raises(error, match=message):
        arcos.Streaming().train_step(
            head, batch.features, batch.parameters, batch.labels, arcos.optim.SGD(0.1)
        )


def test_a_step_needs_parameters_and_features_apart_from_them():
    head = arcos.heads.CosFace()
    batch = case.make(head, rows=5, classes=5)
    weights, optimizer = batch.parameters.weights, arcos.optim.SGD(0.1)
    with pytest.raises(TypeError, match="parameters is no Parameters"):
        arcos.Streaming().train_step(head, batch.features, weights, batch.labels, optimizer)
    with pytest.raises(TypeError, match="already borrowed"):
        arcos.Streaming().train_step(head, weights, batch.parameters, batch.labels, optimizer)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: arcos.optim.SGD(-1.0), "learning rate is -1"),
        (lambda: arcos.optim.SGD(0.1, momentum=1.0), "momentum is 1; expected a number from 0 to below 1"),
        (lambda: arcos.optim.AdamW(0.1, epsilon=0.0), "epsilon is 0"),
        (lambda: arcos.Streaming(filter=2.0), "filter is 2; expected a probability"),
        (lambda: arcos.Streaming(precision="half"), "precision is half; expected full or mixed"),
        (lambda: arcos.Streaming(threads=0), "threads is 0; expected at least 1"),
    ],
)
def test_settings_out_of_range_are_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_moments_are_of_one_set_of_arrays():
    optimizer, kernel, head = arcos.optim.SGD(0.1), arcos.Streaming(), arcos.heads.CosFace()
    small, large, single = case.make(head), case.make(head, classes=6), case.make(head, np.float32)
    kernel.train_step(head, small.features, small.parameters, small.labels, optimizer)
    for batch, message in [(large, "moments has shape"), (single, "the optimizer's type")]:
        with pytest.raises(ValueError, match=message):
            kernel.train_step(head, batch.features, batch.parameters, batch.labels, optimizer)


def test_the_filter_leaves_out_what_it_says():
    head = arcos.heads.CosFace(scale=64, margin=0.0)
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(20_000, 64)).astype(np.float32)
    features, labels = weights[:16] + 0.01, np.arange(16)
    exact = arcos.Streaming().forward_backward(head, features, weights, labels)
    filtered = arcos.Streaming(filter=1e-3).forward_backward(head, features, weights, labels)
    assert exact.filtered == 0 < filtered.filtered and exact.loss == filtered.loss
    change = np.linalg.norm(filtered.d_features - exact.d_features, axis=1)
    assert (change <= 64 * 1e-3 / (16 * np.linalg.norm(features, axis=1))).all()
