"""The examples run, where what they show is installed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_jax_learns_through_a_head():
    pytest.importorskip("jax")
    assert example("jax_head").main() > 0.95


def test_a_network_is_trained_end_to_end_on_birds(tmp_path):
    pytest.importorskip("torchvision")
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    names = ["001.Red", "002.Green", "003.Blue"]
    rows = [(name, label, number) for label, name in enumerate(names) for number in range(6)]
    lines = {"images": [], "image_class_labels": [], "bounding_boxes": [], "train_test_split": []}
    for row, (name, label, number) in enumerate(rows, 1):
        pixels = rng.integers(0, 90, size=(40, 48, 3), dtype=np.uint8)
        pixels[:, :, label] += 150
        (tmp_path / "images" / name).mkdir(parents=True, exist_ok=True)
        image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
        # The last box overruns its photograph.
        values = [f"{name}/{number}.png", label + 1, "4.0 2.0 60.0 30.0" if row == len(rows) else "4.0 2.0 40.0 30.0", number % 2]
        for of_file, value in zip(lines.values(), values):
            of_file.append(f"{row} {value}")
    lines["images"].append("99 001.Red/absent.png")
    for of_file, value in zip(list(lines.values())[1:], [1, "0 0 1 1", 1]):
        of_file.append(f"99 {value}")
    for name, of_file in lines.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(of_file) + "\n")
    (tmp_path / "classes.txt").write_text("".join(f"{number} {name}\n" for number, name in enumerate(names, 1)))
    history = example("finetune_cub").main(tmp_path, head="softmax", epochs=12, size=32, batch_size=9, learning_rate=2e-4)
    losses = [loss for loss, _ in history]
    assert len(history) == 12 and min(losses[6:]) < losses[0] / 2, history
