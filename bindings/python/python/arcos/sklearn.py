"""Estimators for scikit-learn: a classifier, and a projection for classes that training has not seen.

Both centre features, which cosines need, and train by the streaming kernel's fused steps. They take dense float32 or float64 features; other types
become float64.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ._arcos import SGD, AdamW, Head, Optimizer, RMSprop, Streaming, glorot_normal
from ._parameters import Array, Parameters

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ArcosClassifier", "ArcosEmbedder"]

# √2 ln(C - 1) is 0 for two classes.
NOT_FOR_TWO_CLASSES = ("adacos", "fixed-adacos")


class _Trained(BaseEstimator):  # type: ignore[misc]
    """What both estimators share: parameters, checks of data, passes over the rows."""

    head: str
    head_options: dict[str, Any] | None
    centre: bool
    epochs: int
    batch_size: int
    optimizer: Literal["sgd", "rmsprop", "adamw"]
    learning_rate: float
    label_smoothing: float
    class_weight: dict[Any, float] | Literal["balanced"] | None
    random_state: int | np.random.RandomState | None

    classes_: NDArray[Any]
    mean_: Array
    intercept_length_: float
    head_: Head
    parameters_: Parameters

    def _labelled(self, X: ArrayLike, y: ArrayLike) -> tuple[Array, NDArray[Any]]:
        """Features and labels of the first rows."""
        features, labels = validate_data(self, X, y, dtype=[np.float64, np.float32], order="C")
        return features, labels

    def _begin(self, classes: NDArray[Any], y: NDArray[Any], weights: Array, needs_all: bool) -> None:
        """The head for these classes, told how many rows with a weight each has; at least two must have some, or be there."""
        sizes = np.array([np.count_nonzero((y == label) & (weights > 0)) for label in classes])
        found = np.count_nonzero(sizes) if needs_all else len(classes)
        if found < 2:
            raise ValueError(f"y has {found} class with rows that have a weight; expected at least 2")
        self.classes_ = classes
        options, name = self.head_options or {}, self.head
        if len(classes) == 2 and (name in NOT_FOR_TWO_CLASSES or options.get("scale") in NOT_FOR_TWO_CLASSES):
            warnings.warn(
                "AdaCos's scale √2 ln(C - 1) is 0 for two classes; norm-softmax with its default scale takes its place",
                UserWarning,
                stacklevel=3,
            )
            options = {option: value for option, value in options.items() if option not in ("max_scale", "scale")}
            name = "norm-softmax" if name in NOT_FOR_TWO_CLASSES else name
        self.head_ = Head(name, **options)
        self.head_.count_classes(sizes)

    def _optimizer(self) -> Optimizer:
        optimizers = {"sgd": SGD, "rmsprop": RMSprop, "adamw": AdamW}
        if self.optimizer not in optimizers:
            raise ValueError(f"optimizer is {self.optimizer!r}; expected one of {', '.join(optimizers)}")
        optimizer: Optimizer = optimizers[self.optimizer](self.learning_rate)
        return optimizer

    def _weights(self, features: Array, y: NDArray[Any], sample_weight: ArrayLike | None) -> Array:
        """What each row counts, by itself and by its class."""
        weights: Array = _check_sample_weight(sample_weight, features, dtype=features.dtype, ensure_non_negative=True)
        if self.class_weight is None:
            return weights
        balance = {"sample_weight": weights} if self.class_weight == "balanced" and sample_weight is not None else {}
        with np.errstate(divide="ignore"):
            of_classes = compute_class_weight(self.class_weight, classes=self.classes_, y=y, **balance)
        # A class without weight has no rows that count.
        of_classes = np.where(np.isfinite(of_classes), of_classes, 0)
        return weights * of_classes[np.searchsorted(self.classes_, y)].astype(features.dtype)

    def _rows(self, features: Array) -> NDArray[np.bool_]:
        """Which centred rows the head can take."""
        if not self.head_.normalizes_features:
            return np.ones(len(features), dtype=bool)
        norms = np.sqrt(np.einsum("ij,ij->i", features, features, dtype=np.float64))
        return np.asarray(norms > 1e-15)

    def _batches(self, rows: int, rng: np.random.RandomState) -> list[NDArray[np.intp]]:
        """One pass over so many rows in a new order."""
        order = rng.permutation(rows)
        return [order[start : start + self.batch_size] for start in range(0, rows, self.batch_size)]

    def _checked_epochs(self) -> int:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1")
        return self.epochs


class ArcosClassifier(ClassifierMixin, _Trained):  # type: ignore[misc]
    """A classifier by any of the heads, on centred features.

    head: name of the head, as `arcos.Head` takes it. With two classes, for which AdaCos has no scale, norm-softmax takes the place of adacos and
    fixed-adacos, with a warning; `head_` is the head that was trained.
    head_options: its options by name, for example {"scale": 32, "margin": 0.1}. Margins of papers are for networks that learn their features:
    small ones are for features that stay.
    centre: whether the training rows' mean is subtracted, which cosines of pooled features need.
    epochs: passes over the rows. batch_size: rows of a step.
    optimizer: "sgd", "rmsprop" or "adamw", with its default settings. learning_rate: of all steps.
    label_smoothing: from 0 to below 1. class_weight: as scikit-learn has it. random_state: seed of first class vectors and orders of rows.

    intercept: length of a constant coordinate that stands beside the centred features, relative to their mean length. It lets class vectors have
    what a bias is elsewhere, and gives a direction to a row that is the mean itself. With 0 there is none: such a row takes no part in training,
    and all classes are equally probable for it.
    """

    def __init__(
        self,
        head: str = "adacos",
        *,
        head_options: dict[str, Any] | None = None,
        centre: bool = True,
        intercept: float = 0.5,
        epochs: int = 100,
        batch_size: int = 256,
        optimizer: Literal["sgd", "rmsprop", "adamw"] = "adamw",
        learning_rate: float = 0.02,
        label_smoothing: float = 0.0,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.head = head
        self.head_options = head_options
        self.centre = centre
        self.intercept = intercept
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Trains on features X (N, D) with labels y (N,) of any kind."""
        epochs = self._checked_epochs()
        self._start(X, y, None, sample_weight)
        features, labels, weights = self._prepared(X, y, sample_weight)
        for _ in range(epochs):
            self._pass(features, labels, weights)
        return self

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """One pass over these rows. The first call needs all `classes`; the mean that features are centred by is that of its rows, and the
        sizes of classes, which some heads' margins follow from, are those there."""
        self._checked_epochs()
        if not hasattr(self, "parameters_"):
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self._start(X, y, np.unique(np.asarray(classes)), sample_weight)
        elif classes is not None and not np.array_equal(np.unique(np.asarray(classes)), self.classes_):
            raise ValueError(f"classes are {classes!r}; expected {self.classes_!r}, those of the first call to partial_fit")
        self._pass(*self._prepared(X, y, sample_weight))
        return self

    def decision_function(self, X: ArrayLike) -> Array:
        """Logits (N, C) without margins; of two classes their difference (N,)."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: ArrayLike) -> Array:
        """Probabilities (N, C): the softmax of the logits, in the order of `classes_`."""
        logits = self._logits(X)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: Array = exponentials / exponentials.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The class of each row (N,)."""
        logits = self._logits(X)
        predicted: NDArray[Any] = self.classes_[logits.argmax(axis=1)]
        return predicted

    def _start(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: NDArray[Any] | None,
        sample_weight: ArrayLike | None,
    ) -> None:
        features, y = self._labelled(X, y)
        check_classification_targets(y)
        found = np.unique(y)
        weights = _check_sample_weight(sample_weight, features, dtype=features.dtype, ensure_non_negative=True)
        self._begin(found if classes is None else classes, y, weights, classes is None)
        self.mean_ = np.zeros(features.shape[1], dtype=features.dtype)
        if self.centre and weights.sum() > 0:
            self.mean_ = np.average(features, axis=0, weights=weights).astype(features.dtype)
        if not (self.intercept >= 0 and np.isfinite(self.intercept)):
            raise ValueError(f"intercept is {self.intercept}; expected a number, not negative")
        lengths = np.linalg.norm(features - self.mean_, axis=1)
        mean_length = np.average(lengths, weights=weights) if weights.sum() > 0 else 0.0
        self.intercept_length_ = float(self.intercept * (mean_length if mean_length > 0 else 1.0))
        self._rng = check_random_state(self.random_state)
        rows = len(self.classes_) * self.head_.centres
        seed, dtype = self._rng.randint(2**31), features.dtype.name
        dimension = features.shape[1] + (self.intercept_length_ > 0)
        self.parameters_ = self.head_.initial_parameters(glorot_normal(rows, dimension, seed=seed, dtype=dtype))
        self._steps = self._optimizer()

    def _prepared(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[Array, NDArray[np.intp], Array]:
        """Centred features, numbers of classes and weights of the rows that count."""
        features, y = validate_data(self, X, y, dtype=[self.mean_.dtype], order="C", reset=False)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown) > 0:
            raise ValueError(f"y has the label {unknown[0]!r}; expected one of {self.classes_!r}")
        labels = np.searchsorted(self.classes_, y)
        weights = self._weights(features, np.asarray(y), sample_weight)
        features = self._head_input(features)
        kept = (weights > 0) & self._rows(features)
        if not kept.any():
            raise ValueError("no row of X has a weight and a direction; expected at least one that is not the mean of all")
        return features[kept], labels[kept], weights[kept]

    def _head_input(self, features: Array) -> Array:
        """Centred features (N, D), with the constant coordinate (N, D + 1) if there is one."""
        centred = features - self.mean_
        if self.intercept_length_ == 0:
            return centred
        constant = np.full((len(centred), 1), self.intercept_length_, dtype=centred.dtype)
        return np.hstack([centred, constant])

    def _pass(self, features: Array, labels: NDArray[np.intp], weights: Array) -> None:
        kernel = Streaming()
        for batch in self._batches(len(features), self._rng):
            kernel.train_step(
                self.head_,
                features[batch],
                self.parameters_,
                labels[batch],
                self._steps,
                sample_weights=weights[batch],
                label_smoothing=self.label_smoothing,
            )

    def _logits(self, X: ArrayLike) -> Array:
        check_is_fitted(self)
        features = self._head_input(validate_data(self, X, dtype=[self.mean_.dtype], order="C", reset=False))
        kept = self._rows(features)
        logits = np.zeros((len(features), len(self.classes_)), dtype=features.dtype)
        if kept.any():
            logits[kept] = self.head_.logits(features[kept], self.parameters_)
        return logits


class ArcosEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _Trained):  # type: ignore[misc]
    """A projection of centred features, trained with any of the heads on labelled rows: to compare, search and cluster by cosine similarity, classes
    that training has not seen included.

    dimension: of the embeddings. normalize: whether they have length 1. All others as in `ArcosClassifier`.
    """

    def __init__(
        self,
        head: str = "adacos",
        *,
        dimension: int = 64,
        normalize: bool = True,
        head_options: dict[str, Any] | None = None,
        centre: bool = True,
        epochs: int = 100,
        batch_size: int = 256,
        optimizer: Literal["sgd", "rmsprop", "adamw"] = "adamw",
        learning_rate: float = 0.002,
        label_smoothing: float = 0.0,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.head = head
        self.dimension = dimension
        self.normalize = normalize
        self.head_options = head_options
        self.centre = centre
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Trains on features X (N, D) with labels y (N,) of any kind."""
        epochs = self._checked_epochs()
        if self.dimension < 1:
            raise ValueError(f"dimension is {self.dimension}; expected at least 1")
        features, y = self._labelled(X, y)
        check_classification_targets(y)
        classes, labels = np.unique(y, return_inverse=True)
        weights = _check_sample_weight(sample_weight, features, dtype=features.dtype, ensure_non_negative=True)
        self._begin(classes, y, weights, True)
        weights = self._weights(features, np.asarray(y), sample_weight)
        self.mean_ = np.zeros(features.shape[1], dtype=features.dtype)
        if self.centre and weights.sum() > 0:
            self.mean_ = np.average(features, axis=0, weights=weights).astype(features.dtype)
        rng, dtype = check_random_state(self.random_state), features.dtype.name
        seeds = rng.randint(2**31, size=2)
        self.projection_ = glorot_normal(features.shape[1], self.dimension, seed=seeds[0], dtype=dtype)
        rows = len(classes) * self.head_.centres
        self.parameters_ = self.head_.initial_parameters(
            glorot_normal(rows, self.dimension, seed=seeds[1], dtype=dtype)
        )
        self._n_features_out = self.dimension

        features = features - self.mean_
        kept = (weights > 0) & self._rows(features)
        if not kept.any():
            raise ValueError("no row of X has a weight and a direction; expected at least one that is not the mean of all")
        features, labels, weights = features[kept], labels[kept], weights[kept]
        kernel, of_classes, of_projection = Streaming(), self._optimizer(), self._optimizer()
        for _ in range(epochs):
            for batch in self._batches(len(features), rng):
                step = kernel.train_step(
                    self.head_,
                    features[batch] @ self.projection_,
                    self.parameters_,
                    labels[batch],
                    of_classes,
                    d_features=True,
                    sample_weights=weights[batch],
                    label_smoothing=self.label_smoothing,
                )
                assert step.d_features is not None, "it was asked for"
                of_projection.update([self.projection_], [features[batch].T @ step.d_features])
        return self

    def transform(self, X: ArrayLike) -> Array:
        """Embeddings (N, dimension); zeros for a row that has no direction."""
        check_is_fitted(self)
        features: Array = validate_data(self, X, dtype=[self.mean_.dtype], order="C", reset=False)
        embeddings: Array = (features - self.mean_) @ self.projection_
        if not self.normalize:
            return embeddings
        norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
        unit: Array = np.divide(embeddings, norms, out=np.zeros_like(embeddings), where=norms > 0)
        return unit

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
