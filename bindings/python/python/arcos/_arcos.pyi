"""The native part of the package `arcos`."""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, Literal, TypeAlias, TypedDict, final, type_check_only

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Self, Unpack, disjoint_base

from ._parameters import Array, Objective, Parameters

__all__ = [
    "AdamW",
    "Cmc",
    "Head",
    "Model",
    "Optimizer",
    "RMSprop",
    "Retrieval",
    "Roc",
    "SGD",
    "Step",
    "Streaming",
    "Trainer",
    "all_pairs",
    "cmc",
    "cmc_among_distractors",
    "glorot_normal",
    "head_list",
    "k_means",
    "normalized_mutual_information",
    "pair_scores",
    "retrieval",
    "roc",
    "tune",
]

@type_check_only
class _Option(TypedDict):
    name: str
    help: str
    default: str
    words: list[str]
    whole: bool
    range: str | None

@disjoint_base
class Head:
    def __new__(cls, name: str, /, **options: Any) -> Self: ...
    @property
    def name(self) -> str: ...
    @property
    def options(self) -> dict[str, Any]: ...
    @property
    def centres(self) -> int: ...
    @property
    def normalizes_features(self) -> bool: ...
    def count_classes(self, /, sizes: Sequence[int] | NDArray[np.integer[Any]]) -> None: ...
    def initial_parameters(self, /, weights: Array) -> Parameters: ...
    def forward_backward(
        self,
        /,
        features: Array,
        parameters: Parameters | Array,
        labels: ArrayLike,
        **objective: Unpack[Objective],
    ) -> Step: ...
    def logits(self, /, features: Array, parameters: Parameters | Array) -> Array: ...
    def __getnewargs_ex__(self, /) -> tuple[tuple[str, ...], dict[str, Any]]: ...
    def __getstate__(self, /) -> list[int] | None: ...
    def __setstate__(self, /, class_sizes: list[int]) -> None: ...

@final
class Step:
    @property
    def loss(self) -> float: ...
    @property
    def row_losses(self) -> Array: ...
    @property
    def d_features(self) -> Array | None: ...
    @property
    def d_weights(self) -> Array | None: ...
    @property
    def d_vectors(self) -> dict[str, Array]: ...
    @property
    def state(self) -> dict[str, float]: ...
    @property
    def scale(self) -> float: ...
    @property
    def labelled(self) -> int: ...
    @property
    def correct(self) -> int: ...
    @property
    def target_cosine(self) -> float | None: ...
    @property
    def target_angle(self) -> float | None: ...
    @property
    def median_target_angle(self) -> float | None: ...
    @property
    def gradient_norm(self) -> float | None: ...
    @property
    def filtered(self) -> float: ...

@final
class Streaming:
    def __new__(
        cls,
        *,
        workspace: int = ...,
        filter: float | None = None,
        precision: Literal["full", "mixed"] = "full",
        threads: int | None = None,
    ) -> Self: ...
    def forward_backward(
        self,
        /,
        head: Head,
        features: Array,
        parameters: Parameters | Array,
        labels: ArrayLike,
        **objective: Unpack[Objective],
    ) -> Step: ...
    def train_step(
        self,
        /,
        head: Head,
        features: Array,
        parameters: Parameters,
        labels: ArrayLike,
        optimizer: Optimizer,
        *,
        d_features: bool = False,
        **objective: Unpack[Objective],
    ) -> Step: ...
    def evaluate(
        self,
        /,
        head: Head,
        features: Array,
        parameters: Parameters | Array,
        labels: ArrayLike,
    ) -> tuple[float, int, int, int]: ...

@disjoint_base
class Optimizer:
    @property
    def learning_rate(self) -> float: ...
    @learning_rate.setter
    def learning_rate(self, rate: float) -> None: ...
    @property
    def steps(self) -> int: ...
    def update(self, /, values: Sequence[Array], gradients: Sequence[Array]) -> None: ...
    def __getnewargs_ex__(self, /) -> tuple[tuple[float], dict[str, Any]]: ...
    def __getstate__(self, /) -> tuple[int, bool, list[tuple[Array, Array]]]: ...
    def __setstate__(self, /, state: tuple[int, bool, list[tuple[Array, Array]]]) -> None: ...

class SGD(Optimizer):
    def __new__(
        cls,
        learning_rate: float,
        *,
        momentum: float = 0.9,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> Self: ...

class RMSprop(Optimizer):
    def __new__(cls, learning_rate: float, *, rho: float = 0.9, epsilon: float = 1e-7) -> Self: ...

class AdamW(Optimizer):
    def __new__(
        cls,
        learning_rate: float,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> Self: ...

@final
class Retrieval:
    @property
    def queries(self) -> int: ...
    @property
    def recall(self) -> dict[int, float]: ...
    @property
    def r_precision(self) -> float: ...
    @property
    def map_at_r(self) -> float: ...

@final
class Roc:
    @property
    def thresholds(self) -> NDArray[np.float64]: ...
    @property
    def true_accepts(self) -> NDArray[np.uint64]: ...
    @property
    def false_accepts(self) -> NDArray[np.uint64]: ...
    @property
    def auc(self) -> float: ...
    @property
    def eer(self) -> float: ...
    def tar_at_far(self, /, far: float) -> float | None: ...
    def best_accuracy(self, /) -> tuple[float, float]: ...

@final
class Cmc:
    @property
    def searches(self) -> int: ...
    @property
    def rates(self) -> list[float]: ...

def all_pairs(embeddings: Array, labels: ArrayLike) -> Roc: ...
def cmc(
    probes: Array,
    probe_labels: ArrayLike,
    gallery: Array,
    gallery_labels: ArrayLike,
    ranks: int = 10,
) -> Cmc: ...
def cmc_among_distractors(embeddings: Array, labels: ArrayLike, distractors: Array, ranks: int = 10) -> Cmc: ...
def glorot_normal(
    classes: int,
    dimension: int,
    *,
    seed: int = 0,
    dtype: str = "float32",
) -> Array: ...
def head_list() -> list[tuple[str, str, str, list[_Option]]]: ...
def k_means(
    embeddings: Array,
    clusters: int,
    *,
    runs: int = 1,
    seed: int = 0,
) -> tuple[NDArray[np.int64], Array, float]: ...
def normalized_mutual_information(a: ArrayLike, b: ArrayLike) -> float: ...
def pair_scores(embeddings: Array, pairs: Sequence[tuple[int, int]]) -> Array: ...
def retrieval(embeddings: Array, labels: ArrayLike, ks: Sequence[int] = ...) -> Retrieval: ...
def roc(scores: ArrayLike, same: Sequence[bool]) -> Roc: ...

@type_check_only
class _EpochRecord(TypedDict):
    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    test_loss: float | None
    test_accuracy: float | None
    test_top5_accuracy: float | None
    scale: float
    target_cosine: float | None
    target_angle: float | None
    gradient_norm: float
    rows_per_second: float

@type_check_only
class _Evaluation(TypedDict):
    rows: int
    loss: float
    accuracy: float
    top5_accuracy: float

@type_check_only
class _Settings(TypedDict, total=False):
    batch_size: int
    class_weights: str | ArrayLike | None
    dimensions: int | None
    dropout: float | None
    embed: int | None
    embed_block: Literal["linear", "e"] | None
    epochs: int
    focal: float
    label_smoothing: float
    optimizer: Optimizer | None
    patience: int | None
    penalties: Sequence[str]
    precision: Literal["full", "mixed"]
    ridge: float | None
    sample_rate: float | None
    schedule: Literal["constant", "cosine"]
    seed: int
    transform: Literal["none", "centre", "standardise", "whiten"] | None
    warm_up: float
    z_loss: float

_Path: TypeAlias = str | PathLike[str]
_Features: TypeAlias = ArrayLike | _Path

@final
class Model:
    @staticmethod
    def load(path: _Path) -> Model: ...
    @property
    def head_name(self) -> str: ...
    @property
    def classes(self) -> list[int] | list[str]: ...
    @property
    def temperature(self) -> float | None: ...
    @property
    def parameters(self) -> Parameters: ...
    def embeddings(self, /, features: _Features) -> NDArray[np.float32]: ...
    def logits(self, /, features: _Features) -> NDArray[np.float32]: ...
    def predict(self, /, features: _Features) -> NDArray[Any]: ...
    def likeliest(self, /, features: _Features, count: int = 1) -> tuple[NDArray[Any], NDArray[np.float64]]: ...
    def evaluate(self, /, features: _Features, labels: ArrayLike) -> _Evaluation: ...
    def to_onnx(self, /, top: int | None = None) -> bytes: ...

@final
class Trainer:
    def __new__(
        cls,
        head: Head,
        features: _Features,
        labels: ArrayLike,
        *,
        sample_weights: ArrayLike | None = None,
        validation: float | tuple[_Features, ArrayLike] | None = None,
        test: tuple[_Features, ArrayLike] | None = None,
        **settings: Unpack[_Settings],
    ) -> Self: ...
    @staticmethod
    def resume(
        path: _Path,
        features: _Features,
        labels: ArrayLike,
        *,
        sample_weights: ArrayLike | None = None,
        validation: float | tuple[_Features, ArrayLike] | None = None,
        test: tuple[_Features, ArrayLike] | None = None,
        epochs: int | None = None,
        patience: int | None = None,
    ) -> Trainer: ...
    def run(self, /, on_epoch: Callable[[_EpochRecord], bool | None] | None = None) -> list[_EpochRecord]: ...
    @property
    def history(self) -> list[_EpochRecord]: ...
    @property
    def is_done(self) -> bool: ...
    @property
    def model(self) -> Model: ...
    def save(self, /, path: _Path) -> None: ...

@type_check_only
class _Trial(TypedDict):
    candidate: int
    split: int
    right: int | None
    rows: int

@type_check_only
class _Score(TypedDict):
    candidate: int
    splits: int
    failed: int
    accuracy: float
    standard_error: float | None

@type_check_only
class _SearchResult(TypedDict):
    chosen: int
    scores: list[_Score]
    is_stopped: bool

def tune(
    candidates: Sequence[tuple[Head, _Settings]],
    features: _Features,
    labels: ArrayLike,
    *,
    sample_weights: ArrayLike | None = None,
    folds: int = 5,
    repeats: int = 2,
    halving: int = 3,
    seed: int = 0,
    budget: float | None = None,
    on_trial: Callable[[_Trial], bool | None] | None = None,
) -> _SearchResult: ...
