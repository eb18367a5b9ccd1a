"""What the pages show runs as it stands."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp

PACKAGE = Path(__file__).parent.parent


ROOT = PACKAGE.parent.parent


HAS_TORCH = importlib.util.find_spec("torch") is not None


def run(page):
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    blocks = [block for block in blocks if "arcos" in block and (HAS_TORCH or "import torch" not in block)]
    assert blocks
    names = {}
    exec("\n".join(blocks), names)
    return names


@pytest.mark.parametrize("page", [PACKAGE / "README.md", ROOT / "README.md"])
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(page)


def test_weights_and_degrees_of_pytorch_metric_learning_give_its_loss():
    names = run(ROOT / "docs/migrating.md")
    features, labels, weights = names["features"], names["labels"], names["W"]
    cosines = features @ weights / np.linalg.norm(features, axis=1, keepdims=True) / np.linalg.norm(weights, axis=0)
    rows, margin = np.arange(8), np.radians(28.6)
    theta = np.arccos(cosines[rows, labels])
    # As its ArcFaceLoss has it.
    past = theta > np.pi - margin
    cosines[rows, labels] = np.where(past, np.cos(theta) - margin * np.sin(margin), np.cos(theta + margin))
    logits = 64 * cosines
    expected = (logsumexp(logits, axis=1) - logits[rows, labels]).mean()
    assert names["loss"] == pytest.approx(expected, rel=1e-9)
