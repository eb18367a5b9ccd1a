"""What Pillow, TensorFlow and SciPy make of small images, for tests/images/reference.rs.

    pip install numpy pillow scipy tensorflow-cpu && python tests/reference/make_images.py

Writes tests/data/images: photographs as JPEG and PNG of every kind with the pixels that Pillow finds in them, and images.npz: resized
by Pillow, recoloured by tf.image as the Keras project does it, rotated by SciPy.
"""

from pathlib import Path

import numpy as np
import scipy.ndimage
import tensorflow as tf
from PIL import Image, ImageOps

OUT = Path(__file__).parent.parent / "data" / "images"
ORIENTATION = 0x0112


def photograph(width, height, rng):
    """Smooth, as photographs mostly are: JPEG decoders differ at sharp edges of colour."""
    coarse = rng.random((5, 6, 3))
    pixels = np.stack([scipy.ndimage.zoom(coarse[..., c], (height / 5, width / 6), order=3) for c in range(3)], axis=2)
    return Image.fromarray((255 * pixels.clip(0, 1)).round().astype(np.uint8))


def save_photographs(rng):
    image = photograph(61, 44, rng)
    exif = Image.Exif()
    kinds = {
        "baseline.jpg": (image, dict(quality=90)),
        "progressive.jpg": (image, dict(quality=90, progressive=True)),
        "full_chroma.jpg": (image, dict(quality=95, subsampling=0)),
        "grey.jpg": (image.convert("L"), dict(quality=90)),
        "cmyk.jpg": (image.convert("CMYK"), dict(quality=95)),
        "rgb.png": (image, {}),
        "grey.png": (image.convert("L"), {}),
        "palette.png": (image.quantize(32), {}),
    }
    transparent = image.convert("RGBA")
    transparent.putalpha(Image.linear_gradient("L").resize(image.size))
    kinds["rgba.png"] = (transparent, {})
    for orientation in range(1, 9):
        exif[ORIENTATION] = orientation
        kinds[f"orientation_{orientation}.jpg"] = (image, dict(quality=90, exif=exif.tobytes()))
    pixels = {}
    for name, (kind, options) in kinds.items():
        kind.save(OUT / name, **options)
        with Image.open(OUT / name) as found:
            pixels[name] = np.asarray(ImageOps.exif_transpose(found).convert("RGB"))
    return pixels


def resize_with_padding(image, box, size, resample):
    left, top, width, height = box
    ratio = max(width / size[0], height / size[1])
    fitted = (max(int(width / ratio), 1), max(int(height / ratio), 1))
    part = image.crop((left, top, left + width, top + height)).resize(fitted, resample)
    padded = Image.new("RGB", size)
    padded.paste(part, ((size[0] - fitted[0]) // 2, (size[1] - fitted[1]) // 2))
    return np.asarray(padded)


def main():
    rng = np.random.default_rng(0)
    OUT.mkdir(parents=True, exist_ok=True)
    arrays = save_photographs(rng)

    # Of little contrast: where cubic splines leave the range of bytes, the order of the two passes shows.
    image = Image.fromarray(rng.integers(64, 192, (44, 61, 3), dtype=np.uint8))
    arrays["noise"] = np.asarray(image)
    for name, resample in [("bilinear", Image.Resampling.BILINEAR), ("bicubic", Image.Resampling.BICUBIC)]:
        for way, box, size in [("down", (5, 3, 50, 40), (24, 24)), ("up", (10, 20, 9, 14), (32, 24))]:
            arrays[f"{name}_{way}"] = resize_with_padding(image, box, size, resample)

    floats = np.round(rng.random((9, 7, 3)), 3).astype(np.float32)
    floats[0, :3] = [[0, 0, 0], [0.5, 0.5, 0.5], [1, 1, 1]]
    floats[1, :3] = np.eye(3)
    arrays["floats"] = floats
    arrays["brightness"] = tf.clip_by_value(tf.image.adjust_brightness(floats, 0.3), 0, 1).numpy()
    for delta in [0.01, -0.01, 0.4]:
        arrays[f"hue_{delta}"] = tf.image.adjust_hue(floats, delta).numpy()
    for factor in [0.0, 0.9, 1.1, 3.0]:
        arrays[f"saturation_{factor}"] = tf.image.adjust_saturation(floats, factor).numpy()
    arrays["flip"] = tf.image.flip_left_right(floats).numpy()
    for angle in [0.3, -np.pi / 8, np.pi / 2]:
        # Rows count downwards and affine_transform goes from output to input: this turns counter-clockwise.
        matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        centre = (np.array(floats.shape[:2]) - 1) / 2
        turned = [
            scipy.ndimage.affine_transform(floats[..., c].astype(np.float64), matrix, centre - matrix @ centre, order=1,
                                           mode="grid-constant")
            for c in range(3)
        ]
        arrays[f"rotation_{angle:.4f}"] = np.stack(turned, axis=2).astype(np.float32)
    np.savez_compressed(OUT / "images.npz", **arrays)


if __name__ == "__main__":
    main()
