"""What a head trains and remembers, and what a step minimises."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating[Any]]


@dataclass
class Parameters:
    """The values of a head that change during training. The caller owns them: nothing is hidden in the head."""

    weights: Array
    """(C*K, D) the class vectors, those of a class next to each other; K is 1 but for heads with centres."""
    vectors: dict[str, Array] = field(default_factory=dict)
    """What else has a gradient, by name: bias (C,), alpha, log_scale or threshold (1,)."""
    state: dict[str, float] = field(default_factory=dict)
    """What is remembered and not trained: AdaCos's scale, statistics. What is missing stands for its first value."""


class Objective(TypedDict, total=False):
    """Keyword arguments of what a step minimises, besides labels; the mean cross-entropy without any."""

    label_smoothing: float
    """From 0 to below 1."""
    focal: float
    """γ of focal modulation (1 - p)^γ, 0 or more."""
    z_loss: float
    """What multiplies logsumexp(logits)², 0 or more."""
    class_weights: ArrayLike | None
    """(C,) not negative."""
    sample_weights: ArrayLike | None
    """(B,) not negative."""
    soft_targets: tuple[ArrayLike, ArrayLike] | None
    """Classes (B, k) and their probabilities (B, k), each row's sum 1: in place of the labels' one."""
    reduction: Literal["mean", "sum"]
    """How the losses of rows become one; a mean is by weights."""
