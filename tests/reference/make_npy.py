"""Small arrays as NumPy writes them, for tests/trainer/data_files.rs.

    pip install numpy && python tests/reference/make_npy.py
"""

from pathlib import Path

import numpy as np

# Exact in half precision, so that every type holds the same numbers.
FEATURES = np.arange(12).reshape(4, 3) / 8.0 - 0.5
LABELS = np.array([0, 2, 1, 2])


def main():
    out = Path(__file__).parent.parent / "data"
    out.mkdir(exist_ok=True)
    for code in ["f2", "f4", "f8"]:
        for endian, order_of_bytes in [("little", "<"), ("big", ">")]:
            array = FEATURES.astype(order_of_bytes + code)
            np.save(out / f"features_{code}_{endian}_c.npy", array)
            np.save(out / f"features_{code}_{endian}_fortran.npy", np.asfortranarray(array))
    for code in ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]:
        for endian, order_of_bytes in [("little", "<"), ("big", ">")]:
            np.save(out / f"labels_{code}_{endian}.npy", LABELS.astype(order_of_bytes + code))
    np.save(out / "labels_column.npy", LABELS[:, None])
    np.save(out / "labels_ignored.npy", np.array([1, -100, 2, 3]))
    np.save(out / "labels_float.npy", LABELS.astype(np.float64))
    np.save(out / "features_three_dimensions.npy", np.zeros((2, 2, 2), np.float32))
    np.save(out / "features_complex.npy", FEATURES.astype(np.complex64))
    np.savez(out / "stored.npz", features=FEATURES.astype(np.float32), labels=LABELS)
    np.savez_compressed(out / "deflated.npz", features=FEATURES.astype(np.float16))
    with open(out / "features_format_2.npy", "wb") as file:
        np.lib.format.write_array(file, FEATURES.astype(np.float32), version=(2, 0))


if __name__ == "__main__":
    main()
