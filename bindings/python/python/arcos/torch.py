"""Heads as PyTorch modules, on the CPU: class vectors are parameters, the loss is one operator with its gradients.

    >>> import torch, arcos.torch
    >>> head = arcos.torch.ArcFace(512, 1000, scale=32, margin=0.2)
    >>> features = torch.randn(64, 512, requires_grad=True)
    >>> head(features, torch.randint(1000, (64,))).backward()
    >>> head.logits(features).shape  # no labels, no margins
    torch.Size([64, 1000])

There is such a module for each class of `arcos.heads`: `arcos.torch.ArcFace(D, C, margin=0.2)` is
`arcos.torch.HeadLoss(D, C, arcos.heads.ArcFace(margin=0.2))`.

The operator makes loss and gradients in one go, so that (B, C) arrays are never in memory, and reads tensors where they are: float32 or
float64, on the CPU. torch.compile leaves it as it is, and it is differentiable once. Threads are rayon's, not PyTorch's: RAYON_NUM_THREADS.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from . import heads
from ._arcos import Head, Optimizer, Step, Streaming, glorot_normal
from ._parameters import Objective, Parameters

__all__ = ["HeadLoss"]

_OF_KERNEL = ("workspace", "filter", "precision", "threads")
_OF_ROWS = ("sample_weights", "soft_targets")
_OF_OBJECTIVE = tuple(name for name in Objective.__annotations__ if name not in _OF_ROWS)


class _Engine:
    """What an operator needs and tensors are not, by a number, which operators can be given."""

    numbers = itertools.count()
    tickets = itertools.count()
    all: weakref.WeakValueDictionary[int, _Engine] = weakref.WeakValueDictionary()

    def __init__(self, head: Head, streaming: dict[str, Any], objective: dict[str, Any], optimizer: Optimizer | None) -> None:
        self.head = head
        self.options = streaming
        self.kernel = Streaming(**streaming)
        self.objective = objective
        self.optimizer = optimizer
        # Names of what the head trains besides class vectors, and of what it remembers: the order of the operators' lists.
        self.vectors: list[str] = []
        self.states: list[str] = []
        # Derivatives that wait for `backward`, with their ticket.
        self.latest: tuple[int, Step] | None = None
        self.number = next(self.numbers)
        self.all[self.number] = self

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (self.head, self.options, self.objective, self.optimizer)
        return _Engine, arguments, {"vectors": self.vectors, "states": self.states}

    def __deepcopy__(self, memo: dict[int, Any]) -> _Engine:
        parts = (self.head, self.options, self.objective, self.optimizer)
        twin = _Engine(*copy.deepcopy(parts, memo))
        twin.vectors, twin.states = list(self.vectors), list(self.states)
        return twin

    def parameters(self, weights: Tensor, vectors: list[Tensor], state: Tensor) -> Parameters:
        by_name = {name: _array(vector) for name, vector in zip(self.vectors, vectors)}
        return Parameters(_array(weights), by_name, dict(zip(self.states, state.tolist())))

    def state_of(self, state: dict[str, float]) -> Tensor:
        return torch.tensor([state[name] for name in self.states], dtype=torch.float64)

    def step(
        self, features: Tensor, labels: Tensor, weights: Tensor, vectors: list[Tensor], state: Tensor, sample_weights: Tensor | None
    ) -> Step:
        parameters = self.parameters(weights, vectors, state)
        objective = self.given(sample_weights)
        return self.kernel.forward_backward(self.head, _array(features), parameters, _array(labels), **objective)

    def given(self, sample_weights: Tensor | None) -> dict[str, Any]:
        return self.objective if sample_weights is None else {**self.objective, "sample_weights": _array(sample_weights)}


def _array(tensor: Tensor) -> Any:
    return tensor.detach().numpy()


def _scalar(step: Step, features: Tensor) -> Tensor:
    return torch.tensor(step.loss, dtype=features.dtype)


@torch.library.custom_op("arcos::loss", mutates_args=())
def _loss(
    number: int, features: Tensor, labels: Tensor, weights: Tensor, vectors: list[Tensor], state: Tensor, sample_weights: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, next state, and the ticket of the derivatives, which come with them."""
    engine = _Engine.all[number]
    step = engine.step(features, labels, weights, vectors, state, sample_weights)
    engine.latest = (next(engine.tickets), step)
    return _scalar(step, features), engine.state_of(step.state), torch.tensor(engine.latest[0])


@_loss.register_fake
def _(
    number: int, features: Tensor, labels: Tensor, weights: Tensor, vectors: list[Tensor], state: Tensor, sample_weights: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    return features.new_empty(()), torch.empty_like(state), torch.empty((), dtype=torch.int64)


@torch.library.custom_op("arcos::gradients", mutates_args=())
def _gradients(
    number: int,
    features: Tensor,
    labels: Tensor,
    weights: Tensor,
    vectors: list[Tensor],
    state: Tensor,
    sample_weights: Tensor | None,
    ticket: Tensor,
    d_loss: Tensor,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Derivatives by features, class vectors and other vectors, times `d_loss`: those that came with the loss, unless others have come since or
    they have been taken. Then they are computed again, to the same bits."""
    engine = _Engine.all[number]
    latest, engine.latest = engine.latest, None
    if latest is not None and latest[0] == ticket.item():
        step = latest[1]
    else:
        step = engine.step(features, labels, weights, vectors, state, sample_weights)
    d_features, d_weights = torch.from_numpy(step.d_features), torch.from_numpy(step.d_weights)
    d_vectors = [torch.from_numpy(step.d_vectors[name]) for name in engine.vectors]
    if d_loss.item() != 1.0:
        for derivative in (d_features, d_weights, *d_vectors):
            derivative.mul_(d_loss)
    return d_features, d_weights, d_vectors


@_gradients.register_fake
def _(
    number: int,
    features: Tensor,
    labels: Tensor,
    weights: Tensor,
    vectors: list[Tensor],
    state: Tensor,
    sample_weights: Tensor | None,
    ticket: Tensor,
    d_loss: Tensor,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    # As the kernel leaves them: in row-major order, whatever the order of what they are derivatives by.
    return features.new_empty(features.shape), weights.new_empty(weights.shape), [torch.empty_like(vector) for vector in vectors]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    number, features, labels, weights, vectors, state, sample_weights = inputs
    ctx.number, ctx.has_sample_weights = number, sample_weights is not None
    of_rows = [] if sample_weights is None else [sample_weights]
    ctx.save_for_backward(features, labels, weights, state, output[2], *of_rows, *vectors)


def _backward(ctx: Any, d_loss: Tensor, *_: Any) -> tuple[Any, ...]:
    features, labels, weights, state, ticket, *rest = ctx.saved_tensors
    sample_weights, vectors = (rest[0], rest[1:]) if ctx.has_sample_weights else (None, rest)
    derivatives = _gradients(ctx.number, features, labels, weights, vectors, state, sample_weights, ticket, d_loss)
    d_features, d_weights, d_vectors = derivatives
    return None, d_features, None, d_weights, d_vectors, None, None


_loss.register_autograd(_backward, setup_context=_save)


@torch.library.custom_op("arcos::train_step", mutates_args=("weights", "vectors"))
def _train_step(
    number: int, features: Tensor, labels: Tensor, weights: Tensor, vectors: list[Tensor], state: Tensor, sample_weights: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, its derivative by features, and the next state of a step that has updated class vectors and other vectors."""
    engine = _Engine.all[number]
    assert engine.optimizer is not None
    parameters = engine.parameters(weights, vectors, state)
    objective = engine.given(sample_weights)
    step = engine.kernel.train_step(
        engine.head, _array(features), parameters, _array(labels), engine.optimizer, d_features=True, **objective
    )
    return _scalar(step, features), torch.from_numpy(step.d_features), engine.state_of(parameters.state)


@_train_step.register_fake
def _(
    number: int, features: Tensor, labels: Tensor, weights: Tensor, vectors: list[Tensor], state: Tensor, sample_weights: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    return features.new_empty(()), torch.empty_like(features), torch.empty_like(state)


class _Chained(torch.autograd.Function):
    """A loss whose derivative by the features is known."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, loss: Tensor, d_features: Tensor) -> Tensor:
        ctx.save_for_backward(d_features)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, d_loss: Tensor) -> tuple[Any, ...]:
        (d_features,) = ctx.saved_tensors
        return d_loss * d_features, None, None


@torch.library.custom_op("arcos::logits", mutates_args=())
def _logits(number: int, features: Tensor, weights: Tensor, vectors: list[Tensor], state: Tensor) -> Tensor:
    engine = _Engine.all[number]
    return torch.from_numpy(engine.head.logits(_array(features), engine.parameters(weights, vectors, state)))


@_logits.register_fake
def _(number: int, features: Tensor, weights: Tensor, vectors: list[Tensor], state: Tensor) -> Tensor:
    return features.new_empty((features.shape[0], weights.shape[0] // _Engine.all[number].head.centres))


class HeadLoss(nn.Module):
    """The loss of a head, with its class vectors.

    in_features: D, the dimension of features. out_features: C, the number of classes.
    head: one of `arcos.heads`.
    optimizer: one of `arcos.optim`, which then steps class vectors, and all else that the head trains, within `forward`, before `backward`: their
        derivative is never in memory, and they are no parameters for PyTorch's optimizers. It is on the module as `optimizer`, to be pickled
        beside the state_dict, and to have its learning rate changed.
    dtype: torch.float32 or torch.float64.
    workspace, filter, precision, threads: of `arcos.Streaming`.
    objective: keywords of `arcos.Objective` but for what belongs to rows.

    What a head remembers and does not train, such as AdaCos's scale, is the buffer `state`: it follows the batches in training mode.
    """

    state: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        head: Head,
        *,
        optimizer: Optimizer | None = None,
        dtype: torch.dtype = torch.float32,
        **options: Any,
    ) -> None:
        super().__init__()
        streaming = {name: options.pop(name) for name in _OF_KERNEL if name in options}
        if unknown := [name for name in options if name not in _OF_OBJECTIVE]:
            expected = ", ".join([*_OF_OBJECTIVE, *_OF_KERNEL])
            raise TypeError(f"{head.name} has no {unknown[0]}; besides options of the head there are {expected}")
        self.in_features, self.out_features = in_features, out_features
        self._engine = _Engine(head, streaming, options, optimizer)
        name = {torch.float32: "float32", torch.float64: "float64"}.get(dtype)
        if name is None:
            raise TypeError(f"dtype is {dtype}; expected torch.float32 or torch.float64")
        # Of PyTorch's seed, so that torch.manual_seed is all that an experiment needs.
        seed = int(torch.randint(2**62, ()))
        first = head.initial_parameters(glorot_normal(out_features * head.centres, in_features, seed=seed, dtype=name))
        trained = optimizer is None
        self.weight = nn.Parameter(torch.from_numpy(first.weights), requires_grad=trained)
        for name, vector in first.vectors.items():
            self.register_parameter(name, nn.Parameter(torch.from_numpy(vector), requires_grad=trained))
        self._engine.vectors, self._engine.states = list(first.vectors), list(first.state)
        self.register_buffer("state", self._engine.state_of(first.state))

    @property
    def head(self) -> Head:
        return self._engine.head

    @property
    def optimizer(self) -> Optimizer | None:
        return self._engine.optimizer

    def forward(self, features: Tensor, labels: Tensor, sample_weights: Tensor | None = None) -> Tensor:
        """The loss in nats of `features` (B, D) by `labels` (B,), margins included; rows labelled -100 take no part."""
        features = self._checked(features)
        # `backward` may look at the state that was, once this one is the next.
        arguments = (labels, self.weight, self._vectors(), self.state.clone(), sample_weights)
        loss: Tensor
        if self.optimizer is None or not (self.training and torch.is_grad_enabled()):
            loss, state, _ = _loss(self._engine.number, features, *arguments)
        else:
            with torch.no_grad():
                loss, d_features, state = _train_step(self._engine.number, features.detach(), *arguments)
            loss = _Chained.apply(features, loss, d_features)
        if self.training:
            self.state.copy_(state.detach())
        return loss

    @torch.no_grad()
    def logits(self, features: Tensor) -> Tensor:
        """(B, C) logits of `features` (B, D) for inference: no labels, no margins, no gradient."""
        logits: Tensor = _logits(self._engine.number, self._checked(features), self.weight, self._vectors(), self.state)
        return logits

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, {self.head!r}"

    def _vectors(self) -> list[Tensor]:
        return [getattr(self, name) for name in self._engine.vectors]

    def _checked(self, features: Tensor) -> Tensor:
        for name, tensor in (("features", features), ("weight", self.weight)):
            if tensor.device.type != "cpu":
                raise TypeError(f"{name} is on {tensor.device}; expected the CPU")
        # Autocast gives features of half the bits; the loss is of the weights' type.
        return features.to(self.weight.dtype)

    def _replicate_for_data_parallel(self) -> HeadLoss:
        raise RuntimeError("DataParallel copies modules to GPUs; a head of arcos is on the CPU: wrap what comes before it")


def __getattr__(name: str) -> Callable[..., HeadLoss]:
    """The module of a class of `arcos.heads`: (in_features, out_features, options of the head and of `HeadLoss`)."""
    head = getattr(heads, name, None) if name in heads.__all__ and name != "Head" else None
    if head is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    of_head = inspect.signature(head.__new__).parameters

    def module(in_features: int, out_features: int, **options: Any) -> HeadLoss:
        own = {name: options.pop(name) for name in of_head if name in options}
        return HeadLoss(in_features, out_features, head(**own), **options)

    module.__name__ = module.__qualname__ = name
    module.__doc__ = head.__doc__
    return module
