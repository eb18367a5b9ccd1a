"""JPEGs of every sampling and order of scans, and what Pillow makes of them, for tests/images/jpegs.rs.

    apt-get install libjpeg-turbo-progs && pip install numpy pillow && python tests/reference/make_jpegs.py

Writes tests/data/images/jpegs.npz. The files differ in sampling, then size, then restart markers, then scans, the last fastest; of one sampling
and size all have the same coefficients and so the same pixels, which are there once.
"""

import io
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

OUT = Path(__file__).parent.parent / "data" / "images" / "jpegs.npz"
SAMPLINGS = ["1x1", "2x1", "1x2", "2x2", "4x1", "4x2"]  # of luminance, where chrominance has 1x1: 4:4:4, 4:2:2, 4:4:0, 4:2:0, 4:1:1, 4:1:0
SIZES = [(1, 1), (1, 70), (70, 1), (2, 3), (7, 8), (9, 17), (16, 33), (33, 15), (48, 31), (70, 37)]
RESTARTS = [[], ["-restart", "3B"]]
SCANS = {
    "one scan": None,
    "a scan a component": "0;\n1;\n2;\n",
    "luminance, then chrominance": "0;\n1,2;\n",
    "progressive": "-progressive",
    "progressive, a component at a time": "".join(
        f"{c}: 0-0, 0, 1;\n{c}: 1-5, 0, 2;\n{c}: 6-63, 0, 2;\n{c}: 1-63, 2, 1;\n{c}: 0-0, 1, 0;\n{c}: 1-63, 1, 0;\n" for c in range(3)
    ),
}


def photograph(width, height):
    """Smooth, as photographs mostly are: decoders differ at sharp edges of colour."""
    y, x = np.mgrid[:height, :width]
    waves = [(9, 11, 0.3), (13, 17, 1.0), (19, 15, 2.0)]
    return np.stack([128 + 90 * np.sin(x / a + c) * np.cos(y / b + c) for a, b, c in waves], axis=2).round().astype(np.uint8)


def jpeg(pixels, sampling, restart, scans, directory):
    options = ["-quality", "85", "-dct", "int", "-sample", f"{sampling},1x1,1x1", *restart]
    if scans == "-progressive":
        options.append(scans)
    elif scans:
        script = directory / "scans.txt"
        script.write_text(scans)
        options += ["-scans", str(script)]
    else:
        options.append("-baseline")
    height, width, _ = pixels.shape
    ppm = b"P6 %d %d 255\n" % (width, height) + pixels.tobytes()
    return subprocess.run(["cjpeg", *options], input=ppm, capture_output=True, check=True).stdout


def main():
    files, pixels = [], []
    with tempfile.TemporaryDirectory() as directory:
        for sampling in SAMPLINGS:
            for size in SIZES:
                of_size = [jpeg(photograph(*size), sampling, restart, scans, Path(directory)) for restart in RESTARTS for scans in SCANS.values()]
                found = [np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in of_size]
                assert all((other == found[0]).all() for other in found)
                files += of_size
                pixels.append(found[0].ravel())
    np.savez_compressed(
        OUT,
        samplings=np.array([[int(n) for n in sampling.split("x")] for sampling in SAMPLINGS]),
        sizes=np.array(SIZES),
        restarts=np.array([0, 3]),
        progressive=np.array([scans is not None and "-" in scans for scans in SCANS.values()]),
        lengths=np.array([len(file) for file in files]),
        files=np.frombuffer(b"".join(files), np.uint8),
        pixels=np.concatenate(pixels),
    )


if __name__ == "__main__":
    main()
