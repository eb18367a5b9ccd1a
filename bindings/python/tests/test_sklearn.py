"""The estimators by scikit-learn's own checks, and beside its logistic regression and neighbours."""

import pickle

import arcos
import numpy as np
import pytest
from arcos.sklearn import ArcosClassifier, ArcosEmbedder
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

# AdaCos has no scale for two classes, and says so in many a check.
pytestmark = pytest.mark.filterwarnings("ignore:AdaCos's scale", "ignore::sklearn.exceptions.SkipTestWarning")

ESTIMATORS = [
    ArcosClassifier(),
    ArcosClassifier("norm-softmax"),
    ArcosClassifier("softmax", optimizer="rmsprop"),
    ArcosClassifier("arcface", head_options={"scale": 16, "margin": 0.1}, class_weight="balanced"),
    ArcosEmbedder(dimension=3, epochs=30),
]


def expected_failures(estimator):
    if estimator.head != "adacos":
        return {}
    why = "AdaCos's scale follows from rows, not from their weights: a row of weight 2 is not two rows"
    return {"check_sample_weight_equivalence_on_dense_data": why}


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_scikit_learn_s_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    names = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    return train_test_split(data.data, names[data.target], test_size=0.4, random_state=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("head", ["norm-softmax", "sub-center-arcface"])
def test_digits_are_told_apart_as_by_logistic_regression(digits, head, dtype):
    train, test, labels, test_labels = digits
    options = {"norm-softmax": {}, "sub-center-arcface": {"scale": 16, "margin": 0.1}}[head]
    classifier = ArcosClassifier(head, head_options=options, epochs=40, random_state=0)
    classifier.fit(train.astype(dtype), labels)
    reference = LogisticRegression(max_iter=3000).fit(train, labels)
    assert classifier.score(test, test_labels) > reference.score(test, test_labels) - 0.015
    probabilities = classifier.predict_proba(test)
    assert probabilities.dtype == dtype
    np.testing.assert_array_equal(classifier.classes_, reference.classes_)
    np.testing.assert_array_equal(classifier.classes_[probabilities.argmax(axis=1)], classifier.predict(test))
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(test), probabilities)


def test_probabilities_are_those_of_the_head(digits):
    train, test, labels, _ = digits
    classifier = ArcosClassifier("norm-softmax", intercept=0, epochs=2, random_state=0).fit(train, labels)
    unit = (test - train.mean(axis=0)) / np.linalg.norm(test - train.mean(axis=0), axis=1, keepdims=True)
    weights = classifier.parameters_.weights
    exponentials = np.exp(16 * unit @ (weights / np.linalg.norm(weights, axis=1, keepdims=True)).T)
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.predict_proba(test), expected, rtol=1e-9)


def test_passes_one_by_one_are_a_fit(digits):
    train, test, labels, _ = digits
    whole = ArcosClassifier(epochs=3, random_state=1).fit(train, labels)
    parts = ArcosClassifier(random_state=1)
    for _ in range(3):
        parts = pickle.loads(pickle.dumps(parts.partial_fit(train, labels, classes=np.unique(labels))))
    np.testing.assert_allclose(parts.decision_function(test), whole.decision_function(test), rtol=1e-7)
    with pytest.raises(ValueError, match="y has the label .*eleven.*; expected one of"):
        parts.partial_fit(train[:1], ["eleven"])
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        ArcosClassifier().partial_fit(train, labels)


def test_a_grid_finds_the_smaller_margin(digits):
    train, _, labels, _ = digits
    search = GridSearchCV(
        ArcosClassifier("arcface", epochs=5, random_state=0),
        {"head_options": [{"scale": 16, "margin": margin} for margin in (0.1, 2.5)]},
        cv=2,
    )
    assert search.fit(train, labels).best_params_["head_options"]["margin"] == 0.1


def test_weights_of_classes_count(digits):
    train, test, labels, _ = digits
    plain = ArcosClassifier("norm-softmax", epochs=3, random_state=0).fit(train, labels)
    heavy = ArcosClassifier("norm-softmax", epochs=3, random_state=0, class_weight={"eight": 50.0}).fit(train, labels)
    by_rows = ArcosClassifier("norm-softmax", epochs=3, random_state=0)
    by_rows.fit(train, labels, sample_weight=np.where(labels == "eight", 50.0, 1.0))
    assert (heavy.predict(test) == "eight").sum() > (plain.predict(test) == "eight").sum()
    assert (by_rows.predict(test) == "eight").sum() > (plain.predict(test) == "eight").sum()


def test_embeddings_tell_apart_classes_that_training_has_not_seen(digits):
    train, test, labels, test_labels = digits
    seen, unseen = ~np.isin(labels, ["seven", "eight", "nine"]), np.isin(test_labels, ["seven", "eight", "nine"])
    embedder = ArcosEmbedder("arcface", dimension=16, head_options={"scale": 16, "margin": 0.2}, random_state=0)
    embedder.fit(train[seen], labels[seen])
    embeddings = embedder.transform(test)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1)
    kinds = np.unique(test_labels[unseen], return_inverse=True)[1]
    assert arcos.metrics.retrieval(embeddings[unseen], kinds).recall[1] > 0.9
    nearest = make_pipeline(embedder, KNeighborsClassifier(1)).fit(train[seen], labels[seen])
    assert nearest.score(test[~unseen], test_labels[~unseen]) > 0.95
    assert list(embedder.get_feature_names_out()[:2]) == ["arcosembedder0", "arcosembedder1"]


def test_two_classes_say_that_adacos_has_no_scale(digits):
    train, _, labels, _ = digits
    two = np.isin(labels, ["one", "seven"])
    with pytest.warns(UserWarning, match="is 0 for two classes"):
        classifier = ArcosClassifier(epochs=20).fit(train[two], labels[two])
    assert classifier.head_.name == "norm-softmax" and classifier.score(train[two], labels[two]) > 0.95


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "arcfase"}, "no head is called"),
        ({"head_options": {"max_scale": -1}}, "max-scale is -1"),
        ({"intercept": -1.0}, "intercept is -1.0; expected a number, not negative"),
        ({"optimizer": "adam"}, "optimizer is 'adam'; expected one of sgd, rmsprop, adamw"),
        ({"epochs": 0}, "epochs is 0; expected at least 1"),
        ({"batch_size": 0}, "batch_size is 0; expected at least 1"),
        ({"learning_rate": -1.0}, "learning rate is -1"),
    ],
)
def test_settings_out_of_range_are_errors(digits, settings, message):
    train, _, labels, _ = digits
    with pytest.raises(ValueError, match=message):
        ArcosClassifier(**settings).fit(train, labels)
