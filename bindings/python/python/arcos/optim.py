"""Optimizers, which remember their moments of one set of arrays."""

from ._arcos import SGD, AdamW, Optimizer, RMSprop

__all__ = ["SGD", "AdamW", "Optimizer", "RMSprop"]
