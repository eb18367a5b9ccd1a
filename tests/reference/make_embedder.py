"""Layers of an embedder and two whole ones under a normalised softmax: outputs and gradients by PyTorch, in double precision.

Writes embedder.npz beside this script; tests/embedding/reference.rs reproduces it. Weights are as PyTorch has them: a row for each
output.

    pip install numpy torch && python tests/reference/make_embedder.py
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

SCALE = 8.0
DROPPED = 0.4


def numbers(rng, *shape):
    return torch.from_numpy(rng.normal(size=shape))


def batch_norm(rng, dimension, trained_gamma=True):
    """With random parameters and running statistics."""
    layer = nn.BatchNorm1d(dimension, eps=1e-5, momentum=0.1, dtype=torch.float64)
    with torch.no_grad():
        if trained_gamma:
            layer.weight.copy_(torch.from_numpy(rng.uniform(0.5, 2.0, size=dimension)))
        layer.bias.copy_(numbers(rng, dimension))
    layer.weight.requires_grad_(trained_gamma)
    layer.running_mean.copy_(numbers(rng, dimension))
    layer.running_var.copy_(torch.from_numpy(rng.uniform(0.2, 3.0, size=dimension)))
    return layer


def running(layer, before="", after=""):
    statistics = {"running_mean": layer.running_mean, "running_variance": layer.running_var}
    return {f"{before}{name}{after}": statistic.clone() for name, statistic in statistics.items()}


def off_centre(rng, batch, dimension):
    """Columns of different means and deviations."""
    return numbers(rng, batch, dimension) * torch.from_numpy(rng.uniform(0.5, 3.0, size=dimension)) + numbers(rng, dimension)


def gradients(layer, features, d_output):
    """Output and the gradients of sum(output * d_output) by the features and by the layer's parameters."""
    features = features.clone().requires_grad_()
    output = layer(features)
    return output, *torch.autograd.grad((output * d_output).sum(), [features, *layer.parameters()])


def batch_norm_case():
    rng = np.random.default_rng(100)
    layer, features, d_output = batch_norm(rng, 5), off_centre(rng, 7, 5), numbers(rng, 7, 5)
    out = {"features": features, "gamma": layer.weight, "beta": layer.bias, **running(layer), "d_output": d_output}
    names = ["output", "d_features", "d_gamma", "d_beta"]
    out |= zip(names, gradients(layer, features, d_output))
    out |= running(layer, after="_after")
    out |= zip([f"{name}_inference" for name in names], gradients(layer.eval(), features, d_output))
    return out


def prelu_case():
    rng = np.random.default_rng(200)
    layer, features, d_output = nn.PReLU(5, dtype=torch.float64), numbers(rng, 7, 5), numbers(rng, 7, 5)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(rng.uniform(-0.5, 1.5, size=5)))
    out = {"features": features, "slope": layer.weight, "d_output": d_output}
    return out | dict(zip(["output", "d_features", "d_slope"], gradients(layer, features, d_output)))


def relu_case():
    rng = np.random.default_rng(300)
    features, d_output = numbers(rng, 7, 5), numbers(rng, 7, 5)
    out = {"features": features, "d_output": d_output}
    return out | dict(zip(["output", "d_features"], gradients(nn.ReLU(), features, d_output)))


def step(embedder, features, labels, weights_head, parameters):
    """Loss of one batch, and its gradients by the features, the class vectors and the embedder's parameters by name."""
    features, weights_head = features.clone().requires_grad_(), weights_head.clone().requires_grad_()
    logits = SCALE * F.normalize(embedder(features)) @ F.normalize(weights_head).T
    loss = F.cross_entropy(logits, labels)
    by = {"features": features, "weights_head": weights_head, **parameters}
    return {"loss": loss, **{f"d_{name}": d for name, d in zip(by, torch.autograd.grad(loss, list(by.values())))}}


def batch(rng):
    labels = torch.from_numpy(rng.integers(4, size=9))
    return {"features": off_centre(rng, 9, 6), "labels": labels, "weights_head": numbers(rng, 4, 3)}


def linear_case():
    rng = np.random.default_rng(400)
    arrays, layer = batch(rng), nn.Linear(6, 3, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(numbers(rng, 3, 6))
        layer.bias.copy_(numbers(rng, 3))
    parameters = {"weights": layer.weight, "bias": layer.bias}
    return {**arrays, **parameters, **step(layer, **arrays, parameters=parameters), "embeddings": layer(arrays["features"])}


def e_case():
    """Embeddings are those of inference after the batch has moved the running statistics; no parameter has moved."""
    rng = np.random.default_rng(500)
    arrays, input_norm, output_norm = batch(rng), batch_norm(rng, 6), batch_norm(rng, 3, trained_gamma=False)
    mask = torch.from_numpy((rng.random((9, 6)) >= DROPPED) / (1.0 - DROPPED))
    linear = nn.Linear(6, 3, bias=False, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(numbers(rng, 3, 6))
    parameters = {
        "weights": linear.weight,
        "input_gamma": input_norm.weight,
        "input_beta": input_norm.bias,
        "output_beta": output_norm.bias,
    }
    out = {**arrays, "mask": mask, **parameters, **running(input_norm, "input_"), **running(output_norm, "output_")}
    out |= step(lambda x: output_norm(linear(input_norm(x) * mask)), **arrays, parameters=parameters)
    out |= {**running(input_norm, "input_", "_after"), **running(output_norm, "output_", "_after")}
    return out | {"embeddings": output_norm.eval()(linear(input_norm.eval()(arrays["features"])))}


def main():
    cases = {
        "batch_norm": batch_norm_case(),
        "prelu": prelu_case(),
        "relu": relu_case(),
        "linear": linear_case(),
        "e": e_case(),
    }
    path = Path(__file__).with_name("embedder.npz")
    np.savez(path, **{f"{case}/{name}": array.detach().numpy() for case, arrays in cases.items() for name, array in arrays.items()})
    print(f"{len(cases)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
