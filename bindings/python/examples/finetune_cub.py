"""The birds of CUB-200-2011, end to end: torchvision's EfficientNet-B0, trained with an arcos head.

    pip install torchvision
    python bindings/python/examples/finetune_cub.py CUB_200_2011 --weights efficientnet_b0_rwightman-7f5810bc.pth

Photographs are cropped to their bounding boxes and split as the data set says; those that are not there are passed over. Weights are a state
dictionary of torchvision's network; without any it begins at random, which takes far more epochs.
"""

import argparse
from pathlib import Path

import arcos.torch
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.models import efficientnet_b0
from torchvision.transforms import v2

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def by_id(path, convert):
    lines = (line.split() for line in path.read_text().splitlines())
    return {fields[0]: convert(fields[1:]) for fields in lines if fields}


class Birds(Dataset):
    """Photographs of one side of the split, cropped, with their class."""

    def __init__(self, directory, is_training, size):
        paths = by_id(directory / "images.txt", lambda fields: directory / "images" / fields[0])
        classes = by_id(directory / "image_class_labels.txt", lambda fields: int(fields[0]) - 1)
        boxes = by_id(directory / "bounding_boxes.txt", lambda fields: [float(field) for field in fields])
        sides = by_id(directory / "train_test_split.txt", lambda fields: fields[0] == "1")
        of_side = [number for number in paths if sides[number] == is_training]
        self.rows = [(paths[number], boxes[number], classes[number]) for number in of_side if paths[number].is_file()]
        self.absent = len(of_side) - len(self.rows)
        moved = [v2.RandomResizedCrop(size, scale=(0.7, 1.0)), v2.RandomHorizontalFlip()]
        steps = [v2.ToImage(), *(moved if is_training else [v2.Resize((size, size))])]
        self.prepare = v2.Compose([*steps, v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, row):
        path, (left, top, width, height), label = self.rows[row]
        with Image.open(path) as image:
            # Boxes may overrun the photograph.
            box = (left, top, min(left + width, image.width), min(top + height, image.height))
            return self.prepare(image.convert("RGB").crop(box)), label


class Classifier(torch.nn.Module):
    """The network up to its pooled activations (B, 1280), then the head."""

    def __init__(self, head, classes, weights=None):
        super().__init__()
        self.network = efficientnet_b0()
        if weights is not None:
            self.network.load_state_dict(torch.load(weights, weights_only=True))
        self.network.classifier = torch.nn.Dropout(0.2)
        self.head = arcos.torch.HeadLoss(1280, classes, head)

    def forward(self, images, labels):
        return self.head(self.network(images), labels)

    def predict(self, images):
        return self.head.logits(self.network(images)).argmax(1)


@torch.no_grad()
def accuracy(model, birds):
    model.eval()
    right = sum(int((model.predict(images) == labels).sum()) for images, labels in DataLoader(birds, batch_size=16))
    return right / len(birds)


def main(directory, *, weights=None, head="adacos", epochs=10, batch_size=16, size=224, learning_rate=3e-4, seed=0):
    torch.manual_seed(seed)
    train, test = (Birds(Path(directory), is_training, size) for is_training in (True, False))
    classes = len((Path(directory) / "classes.txt").read_text().splitlines())
    print(f"{len(train)} photographs to train, {len(test)} to test, {train.absent + test.absent} not there, {classes} classes")
    model = Classifier(arcos.Head(head), classes, weights)
    optimizer = torch.optim.AdamW(
        [
            {"params": model.network.parameters(), "lr": learning_rate},
            # Class vectors begin at random whatever the network does.
            {"params": model.head.parameters(), "lr": 10 * learning_rate, "weight_decay": 0.0},
        ]
    )
    history = []
    for epoch in range(1, epochs + 1):
        model.train()
        losses = []
        # Batch normalisation of a single photograph would have no variance.
        for images, labels in DataLoader(train, batch_size=batch_size, shuffle=True, drop_last=len(train) % batch_size == 1):
            optimizer.zero_grad()
            loss = model(images, labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        history.append((sum(losses) / len(losses), accuracy(model, test)))
        print("epoch {}/{}: loss {:.4f}, test accuracy {:.4f}".format(epoch, epochs, *history[-1]))
    return history


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", help="CUB_200_2011, as it is unpacked")
    parser.add_argument("--weights", help="a state dictionary of torchvision's EfficientNet-B0")
    parser.add_argument("--head", default="adacos", help="any of arcos.heads, by name")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--size", type=int, default=224, help="pixels of a side")
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
