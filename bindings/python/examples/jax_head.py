"""An arcos head in JAX: a function with a custom derivative around a callback, under jit and grad.

    pip install jax; python bindings/python/examples/jax_head.py
"""

from functools import partial

import arcos
import jax
import numpy as np
from jax import numpy as jnp

HEAD, KERNEL = arcos.heads.ArcFace(scale=16, margin=0.2), arcos.Streaming()


def gradients(features, weights, labels):
    """Loss and derivatives of one batch, computed outside of JAX."""
    step = KERNEL.forward_backward(HEAD, np.asarray(features), np.asarray(weights), np.asarray(labels))
    return np.asarray(step.loss, features.dtype), step.d_features, step.d_weights


def called(features, weights, labels):
    shapes = [jax.ShapeDtypeStruct(shape, features.dtype) for shape in [(), features.shape, weights.shape]]
    return jax.pure_callback(gradients, tuple(shapes), features, weights, labels)


@jax.custom_vjp
def loss_of(features, weights, labels):
    """The mean loss in nats of `features` (B, D) by `labels` (B,), with class vectors `weights` (C, D)."""
    return called(features, weights, labels)[0]


def forward(features, weights, labels):
    loss, *derivatives = called(features, weights, labels)
    return loss, derivatives


def backward(derivatives, d_loss):
    d_features, d_weights = derivatives
    return d_loss * d_features, d_loss * d_weights, None


loss_of.defvjp(forward, backward)


def main(rows=200, classes=8, inputs=32, dimension=16, steps=300):
    rng = np.random.default_rng(0)
    labels = np.arange(rows) % classes
    images = (rng.normal(size=(classes, inputs))[labels] + 0.8 * rng.normal(size=(rows, inputs))).astype(np.float32)
    network = jnp.asarray(rng.normal(size=(inputs, dimension)) / np.sqrt(inputs), jnp.float32)
    parameters = (network, jnp.asarray(arcos.glorot_normal(classes, dimension)))

    def objective(parameters):
        network, weights = parameters
        return loss_of(jnp.tanh(images @ network), weights, labels)

    @partial(jax.jit, donate_argnums=0)
    def step(parameters):
        loss, by_parameters = jax.value_and_grad(objective)(parameters)
        return jax.tree.map(lambda value, derivative: value - 0.1 * derivative, parameters, by_parameters), loss

    for number in range(steps):
        parameters, loss = step(parameters)
        if number % 100 == 0:
            print(f"step {number}: loss {loss:.4f}")
    network, weights = parameters
    logits = HEAD.logits(np.asarray(jnp.tanh(images @ network)), np.asarray(weights))
    accuracy = (logits.argmax(1) == labels).mean()
    print(f"loss {loss:.4f}, accuracy on the training rows {accuracy:.3f}")
    return accuracy


if __name__ == "__main__":
    main()
