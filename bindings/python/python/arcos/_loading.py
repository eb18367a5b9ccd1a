"""Class vectors of other projects, as their checkpoints have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._parameters import Array, Parameters


def load_pml(state_dict: Mapping[str, Any], *, version: int = 2) -> Parameters:
    """Class vectors of a loss of pytorch-metric-learning, by `loss.state_dict()`: of version 2, (D, C) there, or of version 3, (C, D).

    Margins of its version 2 are in degrees: `arcos.heads.ArcFace(margin=numpy.radians(28.6))`.
    """
    if version not in (2, 3):
        raise ValueError(f"version is {version}; expected 2 or 3")
    weights = _matrix("W", _named("W", state_dict))
    return Parameters(weights if version == 3 else _rows(weights))


def load_insightface(*state_dicts: Mapping[str, Any]) -> Parameters:
    """Class vectors of InsightFace's PartialFC, by the state_dict of each process in the order of their ranks: (C of the process, D)."""
    if not state_dicts:
        raise TypeError("no state_dict is given; expected that of each process")
    return Parameters(np.concatenate([_matrix("weight", _named("weight", state_dict)) for state_dict in state_dicts]))


def load_keras(kernel: ArrayLike, bias: ArrayLike | None = None) -> Parameters:
    """Class vectors of a Keras layer's weights: its kernel (D, C), and the bias (C,) of one that has it."""
    weights = _rows(_matrix("kernel", kernel))
    if bias is None:
        return Parameters(weights)
    values = np.array(bias, dtype=weights.dtype)
    if values.shape != weights.shape[:1]:
        raise ValueError(f"bias has shape {values.shape}; expected ({len(weights)},), a value for each column of the kernel")
    return Parameters(weights, {"bias": values})


def _named(name: str, state_dict: Mapping[str, Any]) -> Any:
    # Of a whole model it has the names of modules before it.
    found = [key for key in state_dict if key == name or key.endswith(f".{name}")]
    if len(found) != 1:
        raise ValueError(f"state_dict has {len(found)} tensors called {name}, among {list(state_dict)}; expected one")
    return state_dict[found[0]]


def _matrix(name: str, values: Any) -> Array:
    # A copy: steps change class vectors where they are.
    matrix = np.array(values)
    if matrix.ndim != 2:
        raise ValueError(f"{name} has shape {matrix.shape}; expected two dimensions")
    if matrix.dtype not in (np.float32, np.float64):
        raise TypeError(f"{name} has type {matrix.dtype}; expected float32 or float64")
    return matrix


def _rows(by_column: Array) -> Array:
    """Class vectors as rows, where they are columns."""
    return np.ascontiguousarray(by_column.T)
