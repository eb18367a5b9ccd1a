"""Decoding, cutting out and scaling of CUB-200-2011's photographs on one core: arcos, Pillow and torchvision by turns.

    cargo build --release --example preprocess
    pip install -r benches/peers/requirements.txt && python benches/peers/preprocessing.py CUB_200_2011

Prints the table of docs/benchmarks.md. Takes the first 64 photographs that are there.
"""

import argparse
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
import torchvision
from PIL import Image
from torchvision.io import ImageReadMode, decode_image, read_file
from torchvision.transforms.v2 import functional

SIDE = 224
ARCOS = Path(__file__).parent / "../../target/release/examples/preprocess"


def photographs(cub):
    def table(name):
        return dict(line.split(maxsplit=1) for line in (cub / name).read_text().splitlines())

    boxes, images = table("bounding_boxes.txt"), table("images.txt")
    found = [(cub / "images" / images[id].strip(), [float(side) for side in boxes[id].split()]) for id in sorted(images, key=int)]
    return [(str(path), box) for path, box in found if path.exists()][:64]


def corners(box, width, height):
    x, y, box_width, box_height = box
    return max(int(x), 0), max(int(y), 0), min(int(x + box_width), width), min(int(y + box_height), height)


def fitted(width, height):
    ratio = max(width, height) / SIDE
    return max(int(width / ratio), 1), max(int(height / ratio), 1)


def pillow(path, box):
    image = Image.open(path).convert("RGB")
    image = image.crop(corners(box, *image.size))
    image = image.resize(fitted(*image.size), Image.Resampling.BILINEAR)
    padded = Image.new("RGB", (SIDE, SIDE))
    padded.paste(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
    return padded


def with_torchvision(path, box):
    image = decode_image(read_file(path), mode=ImageReadMode.RGB)
    left, top, right, bottom = corners(box, image.shape[2], image.shape[1])
    image = image[:, top:bottom, left:right]
    width, height = fitted(right - left, bottom - top)
    image = functional.resize(image, [height, width], antialias=True)
    x, y = (SIDE - width) // 2, (SIDE - height) // 2
    return functional.pad(image, [x, y, SIDE - width - x, SIDE - height - y])


def milliseconds(function, files):
    start = time.perf_counter()
    for file in files:
        function(*file)
    return 1e3 * (time.perf_counter() - start) / len(files)


def arcos(cub):
    with tempfile.NamedTemporaryFile(suffix=".png") as sheet:
        line = subprocess.run([ARCOS, cub, sheet.name], check=True, capture_output=True, text=True).stdout
    return float(line.split(", ")[1].split()[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cub", type=Path)
    parser.add_argument("--rounds", type=int, default=11, help="turns of each, of which the median counts")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    files = photographs(arguments.cub)
    times = {"arcos": [], "Pillow": [], "torchvision": []}
    for _ in range(arguments.rounds + 1):
        times["arcos"].append(arcos(arguments.cub))
        times["Pillow"].append(milliseconds(pillow, files))
        times["torchvision"].append(milliseconds(with_torchvision, files))
    print(f"{len(files)} photographs; Pillow {Image.__version__}, torchvision {torchvision.__version__}\n")
    print("| | milliseconds | to arcos |\n|---|---|---|")
    ours = median(times["arcos"][1:])
    for name, found in times.items():
        print(f"| {name} | {median(found[1:]):.2f} | {median(found[1:]) / ours:.2f} |")


if __name__ == "__main__":
    main()
