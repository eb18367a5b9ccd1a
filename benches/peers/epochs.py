"""The trainer's loop in PyTorch: ArcFace, RMSprop, centred features, a test evaluation after each epoch.

    python epochs.py DIR BATCH

For each line that it reads it trains for that many epochs, and prints the seconds of one and the test accuracy.
"""

import json
import sys
import time

import numpy as np
import torch
from frameworks import SCALE, THREADS, torch_arcface
from torch.nn import functional as F


def main(directory, batch):
    torch.set_num_threads(THREADS)
    batch = int(batch)
    load = lambda name: torch.from_numpy(np.load(f"{directory}/{name}.npy"))
    features, labels = load("train_features"), load("train_labels")
    test_features, test_labels = load("test_features"), load("test_labels")
    mean = features.mean(0)
    features, test_features = features - mean, test_features - mean
    weights = torch.nn.Parameter(0.03 * torch.randn(int(labels.max()) + 1, features.shape[1]))
    optimizer = torch.optim.RMSprop([weights], lr=1e-3, alpha=0.9, eps=1e-7)

    def epoch():
        for rows in torch.randperm(len(features)).split(batch):
            optimizer.zero_grad()
            torch_arcface(features[rows], weights, labels[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            logits = SCALE * F.linear(F.normalize(test_features), F.normalize(weights))
            F.cross_entropy(logits, test_labels).item()
            return (logits.argmax(1) == test_labels).float().mean().item()

    epoch()
    for line in sys.stdin:
        epochs = int(line)
        start = time.perf_counter()
        accuracies = [epoch() for _ in range(epochs)]
        print(json.dumps([(time.perf_counter() - start) / epochs, accuracies[-1]]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
