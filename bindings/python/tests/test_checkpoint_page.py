"""docs/checkpoint.md: its NumPy makes the probabilities that the model makes."""

import re
from pathlib import Path

import numpy as np
import pytest

import arcos

PAGE = Path(__file__).parent.parent.parent.parent / "docs/checkpoint.md"


@pytest.fixture(scope="module")
def probabilities():
    names = {}
    exec(re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1], names)
    return names["probabilities"]


@pytest.mark.parametrize(
    ("head", "settings"),
    [
        (arcos.heads.AdaCos(), {"transform": "none"}),
        (arcos.heads.AdaCos(), {"transform": "standardise", "embed": 5, "validation": 0.2}),
        (arcos.heads.ArcFace(scale=16, margin=0.3), {"embed": 6, "embed_block": "e"}),
        (arcos.heads.CurricularFace(scale=8, margin=0.1), {"transform": "centre"}),
    ],
)
@pytest.mark.parametrize("is_past_its_best", [False, True])
def test_the_numpy_of_the_page_is_the_model(head, settings, is_past_its_best, probabilities, tmp_path):
    rng = np.random.default_rng(3)
    labels = np.arange(120) % 6
    features = (rng.normal(size=(6, 9))[labels] + rng.normal(size=(120, 9))).astype(np.float32)
    if is_past_its_best:
        settings = {**settings, "validation": 0.3, "epochs": 200, "optimizer": arcos.optim.AdamW(0.1)}
    trainer = arcos.Trainer(head, features, labels, **{"epochs": 4, **settings})
    best = [(-1.0, 0.0)]

    def goes_on(record):
        best.append((record["validation_accuracy"], -record["validation_loss"]))
        return best[-1] == max(best)

    trainer.run(goes_on if is_past_its_best else None)
    trainer.save(tmp_path / "run")
    if is_past_its_best:
        assert b'"best.weights"' in (tmp_path / "run.safetensors").read_bytes()
    elif "validation" in settings:
        assert trainer.model.temperature != 1
    others = rng.normal(size=(50, 9)).astype(np.float32)
    found = probabilities(others, tmp_path / "run")
    classes, expected = arcos.Model.load(tmp_path / "run").likeliest(others, 6)
    np.testing.assert_allclose(np.take_along_axis(found, classes, 1), expected, rtol=5e-5, atol=1e-7)
    assert (found.argmax(axis=1) == classes[:, 0]).all()
