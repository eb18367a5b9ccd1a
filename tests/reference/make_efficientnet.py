"""torchvision's EfficientNet-B0 as ONNX without its classifier, and PyTorch's features of rendered photographs.

    pip install torch torchvision onnx onnxscript numpy pillow
    python tests/reference/make_efficientnet.py target/efficientnet_b0
    python tests/reference/make_efficientnet.py tests/data/efficientnet_tiny --width 0.1 --depth 0.3 --size 64

The second command made what tests/images/onnx.rs reads in the suite: the same blocks, few channels, small photographs. The first
makes the real thing, 16 MB, for its test that is ignored otherwise (`make efficientnet`). Weights are random: the numbers mean
nothing, but have to come out the same.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
import torchvision
from PIL import Image
from torchvision.models.efficientnet import EfficientNet, _efficientnet_conf


def photograph(size, rng):
    """A sky, a few blurred and overlapping spots, some noise."""
    y, x = np.mgrid[0:size, 0:size] / size
    pixels = np.stack([0.3 + 0.3 * y, 0.5 + 0.2 * y, 0.9 - 0.5 * y], axis=2)
    for _ in range(6):
        centre, radius, colour = rng.random(2), 0.05 + 0.3 * rng.random(2), rng.random(3)
        distance = np.hypot((x - centre[0]) / radius[0], (y - centre[1]) / radius[1])
        cover = 1 / (1 + np.exp(8 * (distance - 1)))
        pixels = pixels * (1 - cover[..., None]) + cover[..., None] * colour
    pixels += 0.02 * rng.standard_normal(pixels.shape)
    return Image.fromarray((255 * pixels.clip(0, 1)).round().astype(np.uint8))


def network(width, depth):
    torch.manual_seed(0)
    if (width, depth) == (1.0, 1.0):
        network = torchvision.models.efficientnet_b0(weights=None)
    else:
        blocks, last_channel = _efficientnet_conf("efficientnet_b0", width_mult=width, depth_mult=depth)
        network = EfficientNet(blocks, dropout=0.2, last_channel=last_channel)
    network.classifier = torch.nn.Identity()
    return network


@torch.no_grad()
def calibrate(network, images):
    """Running statistics of batch normalisation from real ones: with untouched ones random weights make features vanish."""
    network.eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
            module.train()
    network(images)
    network.eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--depth", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--photographs", type=int, default=5)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    rng = np.random.default_rng(0)
    to_tensor = torchvision.transforms.Compose([
        torchvision.transforms.ToTensor(),
        torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ])
    photographs = [photograph(arguments.size, rng) for _ in range(arguments.photographs)]
    images = torch.stack([to_tensor(image) for image in photographs])
    model = network(arguments.width, arguments.depth)
    calibrate(model, torch.stack([to_tensor(photograph(arguments.size, rng)) for _ in range(16)]))
    with torch.no_grad():
        features = model(images).numpy()

    for number, image in enumerate(photographs):
        image.save(arguments.out / f"photograph_{number}.png", optimize=True)
    np.save(arguments.out / "features.npy", features)
    exported = torch.onnx.export(model, (images[:2],), dynamo=True, input_names=["images"], output_names=["features"],
                                 dynamic_shapes=({0: torch.export.Dim("batch")},)).model_proto
    # Where in the source each node came from: more bytes than the small network's weights.
    for node in exported.graph.node:
        del node.metadata_props[:]
    del exported.graph.value_info[:]
    onnx.save(exported, arguments.out / "model.onnx")
    print(f"{features.shape[1]} features, standard deviation {features.std():.3g}, between photographs {features.std(0).mean():.3g}")


if __name__ == "__main__":
    main()
