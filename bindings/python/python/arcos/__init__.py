"""Angular-margin classification heads with hand-written gradients: AdaCos, ArcFace, CosFace and their kin.

    >>> import arcos
    >>> import numpy as np
    >>> head = arcos.heads.ArcFace(scale=32, margin=0.2)
    >>> features = np.array([[0.3, -1.2, 0.8], [1.1, 0.4, -0.2]], dtype=np.float32)  # (B, D)
    >>> parameters = head.initial_parameters(arcos.glorot_normal(4, 3))  # class vectors (C, D)
    >>> step = head.forward_backward(features, parameters, [2, 0])
    >>> step.d_weights.shape
    (4, 3)

`arcos.heads` has the heads, `Streaming` the kernel for many classes, `Trainer` and `tune` training on frozen features and the choice of its settings, `arcos.optim` optimizers, `arcos.metrics` measures of embeddings,
`arcos.sklearn` estimators for scikit-learn and `arcos.torch` modules for PyTorch. Arrays are read where they are if they are aligned and in
native byte order; float32 or float64 is the type of all of them. Losses are in nats, angles in radians. Rows labelled -100 take no part.
"""

from . import heads, metrics, optim
from ._arcos import Head, Model, Step, Streaming, Trainer, glorot_normal, tune
from ._loading import load_insightface, load_keras, load_pml
from ._parameters import Objective, Parameters

__all__ = [
    "Head",
    "Model",
    "Objective",
    "Parameters",
    "Step",
    "Streaming",
    "Trainer",
    "glorot_normal",
    "heads",
    "load_insightface",
    "load_keras",
    "load_pml",
    "metrics",
    "optim",
    "tune",
]
