"""JPEGs that few programs write, and what Pillow makes of them, for tests/images/unusual_jpegs.rs.

    apt-get install libjpeg-turbo-progs && pip install numpy pillow && python tests/reference/make_unusual_jpegs.py

Writes tests/data/images/unusual_jpegs.npz: components that are sampled in every way but the usual ones, as one scan, a scan a component and progressive; grey, RGB, CMYK and
YCCK; markers that disagree on the colours. Those that may be refused are said in `cases`.
"""

import io
import itertools
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

OUT = Path(__file__).parent.parent / "data" / "images" / "unusual_jpegs.npz"
SIZES = [(37, 29), (18, 9)]
SAMPLINGS = [
    "1x1,2x2,2x2",  # chrominance more finely than luminance
    "1x1,2x1,1x2",
    "1x1,1x1,2x2",
    "1x1,1x2,1x1",
    "1x1,4x1,1x1",
    "2x1,1x2,1x1",
    "2x2,2x2,1x1",
    "1x2,2x1,1x1",
    "1x1,1x1,1x1",  # 4:4:4, and the same in other words
    "2x1,2x1,2x1",
    "1x2,1x2,1x2",
    "3x1,3x1,3x1",
    "2x2,1x2,1x2",  # 4:2:2
    "2x2,2x1,2x1",  # 4:4:0
    "1x4,1x1,1x1",
    "3x1,1x1,1x1",
    "1x3,1x1,1x1",
    "3x2,1x1,3x1",
    "1x1,3x1,1x1",
]
# A component that is neither sampled most finely nor once: right in one scan.
BETWEEN = ["4x1,2x1,1x1", "1x1,2x1,4x1", "1x4,1x2,1x1"]
COMPONENTS = "".join(f"{component};\n" for component in range(3))
SCANS = {"one scan": ["-baseline"], "a scan a component": ["-scans", "components.txt"], "progressive": ["-progressive"]}

JFIF = b"\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"


def adobe(transform):
    return b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])


def photograph(width, height, channels=3):
    """Smooth, as photographs mostly are: decoders differ at sharp edges of colour."""
    y, x = np.mgrid[:height, :width]
    waves = [(9, 11, 0.3), (13, 17, 1.0), (19, 15, 2.0), (15, 13, 3.0)][:channels]
    return np.stack([128 + 90 * np.sin(x / a + c) * np.cos(y / b + c) for a, b, c in waves], axis=2).round().astype(np.uint8)


def run(command, given, directory):
    return subprocess.run(command, input=given, capture_output=True, check=True, cwd=directory).stdout


def segments(file):
    """Markers with their segments, and last the first scan with all that follows."""
    at, found = 2, []
    while True:
        end = at + 2 + int.from_bytes(file[at + 2 : at + 4], "big")
        if file[at + 1] == 0xDA:
            return [*found, file[at:]]
        found.append(file[at:end])
        at = end


def with_markers(file, markers, names=None, samples=None, rotate=0):
    """The file with these markers of colours in place of its own, names of components, samples of all, and an order of components in the frame."""
    kept = [bytearray(part) for part in segments(file) if part[1] not in (0xE0, 0xEE)]
    for part in kept:
        if part[1] in (0xC0, 0xC1, 0xC2):
            count = part[9]
            frame = [part[10 + 3 * i : 13 + 3 * i] for i in range(count)]
            for i, component in enumerate(frame):
                component[0] = names[i] if names else component[0]
                component[1] = samples[i] if samples else component[1]
            part[10:] = b"".join(frame[rotate:] + frame[:rotate])
        if part[1] == 0xDA and names:
            for i in range(part[4]):
                part[5 + 2 * i] = names[i]
    return b"\xff\xd8" + b"".join(markers) + b"".join(kept)


def ycbcr(directory):
    """Name, file, and whether it may be refused."""
    for size, sampling, (scans, options) in itertools.product(SIZES, SAMPLINGS + BETWEEN, SCANS.items()):
        pixels = photograph(*size)
        ppm = b"P6 %d %d 255\n" % size + pixels.tobytes()
        file = run(["cjpeg", "-quality", "85", "-dct", "int", "-sample", sampling, *options], ppm, directory)
        yield f"{sampling} {size} {scans}", file, sampling in BETWEEN and scans != "one scan"


def grey(directory):
    for sampling, scans in itertools.product(["1x1", "2x2", "3x1", "1x3", "4x4"], ["-baseline", "-progressive"]):
        pgm = b"P5 37 29 255\n" + photograph(37, 29)[..., 0].tobytes()
        yield f"grey {sampling} {scans}", run(["cjpeg", "-quality", "85", "-dct", "int", "-sample", sampling, scans], pgm, directory), False


def rgb(directory):
    ppm = b"P6 37 29 255\n" + photograph(37, 29).tobytes()
    for sampling, (scans, options) in itertools.product(["1x1,1x1,1x1", "2x2,1x1,1x1", "1x1,2x2,1x1"], SCANS.items()):
        yield f"RGB {sampling} {scans}", run(["cjpeg", "-rgb", "-quality", "85", "-dct", "int", "-sample", sampling, *options], ppm, directory), False
    for sampling in ["1x1,1x1,1x1", "2x2,1x1,1x1"]:
        file = run(["cjpeg", "-quality", "85", "-dct", "int", "-sample", sampling, "-baseline"], ppm, directory)
        markers = [[], [JFIF], [adobe(0)], [adobe(1)], [JFIF, adobe(0)], [adobe(0), JFIF], [JFIF, adobe(1)]]
        for number, (of_file, names) in enumerate(itertools.product(markers, [b"\1\2\3", b"RGB", b"\0\1\2", b"rgb"])):
            yield f"markers {number} {names} {sampling}", with_markers(file, of_file, names), False


def inks(directory):
    image = Image.fromarray(photograph(37, 29, 4), "CMYK")
    for sampling, progressive in itertools.product([0, 1, 2], [False, True]):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=85, subsampling=sampling, progressive=progressive)
        for name, marker in {"CMYK": [adobe(0)], "YCCK": [adobe(2)], "YCCK by another name": [adobe(1)], "CMYK without a marker": []}.items():
            yield f"{name} {sampling} progressive {progressive}", with_markers(buffer.getvalue(), marker), False
    scans = run(["jpegtran", "-scans", "four.txt"], with_markers(buffer.getvalue(), [adobe(0)]), directory)
    yield "CMYK, a scan a component", scans, False
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85, subsampling=2)
    scans = run(["jpegtran", "-scans", "four.txt"], with_markers(buffer.getvalue(), [adobe(0)]), directory)
    for transform, rotate in itertools.product([0, 2], range(4)):
        yield f"transform {transform}, four components, {rotate}, a scan each", with_markers(scans, [adobe(transform)], rotate=rotate), False


def turned(directory):
    ppm = b"P6 37 29 255\n" + photograph(37, 29).tobytes()
    file = run(["cjpeg", "-quality", "85", "-dct", "int", "-sample", "1x1,2x2,2x2", "-baseline"], ppm, directory)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = exif.tobytes()
        marker = b"\xff\xe1" + (len(data) + 2).to_bytes(2, "big") + data
        yield f"orientation {orientation}", with_markers(file, [JFIF, marker]), False


def main():
    cases, files, pixels = [], [], []
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "components.txt").write_text(COMPONENTS)
        (Path(directory) / "four.txt").write_text(COMPONENTS + "3;\n")
        for name, file, may_be_refused in itertools.chain(*(kind(directory) for kind in [ycbcr, grey, rgb, inks, turned])):
            found = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB"))
            height, width, _ = found.shape
            cases.append({"name": name, "width": width, "height": height, "length": len(file), "may_be_refused": may_be_refused})
            files.append(file)
            pixels.append(found.ravel())
    np.savez_compressed(
        OUT,
        cases=np.frombuffer(json.dumps(cases).encode(), np.uint8),
        files=np.frombuffer(b"".join(files), np.uint8),
        pixels=np.concatenate(pixels),
    )
    print(len(cases), "files,", OUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
