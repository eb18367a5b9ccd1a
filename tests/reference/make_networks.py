"""Networks of one operation in every shape that tests/images/onnx.rs reads or refuses.

    pip install numpy onnx && python tests/reference/make_networks.py
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

OUT = Path(__file__).parent.parent / "data" / "networks"


def save(name, nodes, inputs, output, initializers=(), type=TensorProto.FLOAT, notes=(), more_outputs=(), **options):
    """Inputs are of `type`, outputs of floats of that type; `notes` are shapes that the file notes of tensors between them."""
    tensor = lambda name, shape, type: helper.make_tensor_value_info(name, type, shape)
    floats = TensorProto.FLOAT if type == TensorProto.UINT8 else type
    inputs = [tensor(*input, type) for input in inputs]
    outputs = [tensor(*output, floats) for output in [("features", output), *more_outputs]]
    notes = [tensor(*note, floats) for note in notes]
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers, value_info=notes)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, OUT / f"{name}.onnx", **options)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    pool = helper.make_node("GlobalAveragePool", ["images"], ["features"])
    mean = helper.make_node("ReduceMean", ["images"], ["features"], axes=[1, 2], keepdims=0)
    save("pool_nchw", [pool], [("images", ["N", 3, "H", "W"])], ["N", 3, 1, 1])
    save("mean_nhwc", [mean], [("images", ["N", 6, 10, 3])], ["N", 3])
    save("batch_of_two", [pool], [("images", [2, 3, 8, 8])], [2, 3, 1, 1])
    save("maps", [helper.make_node("Relu", ["images"], ["features"])], [("images", ["N", 3, 8, 8])], ["N", 3, 8, 8])
    save("one_channel", [pool], [("images", ["N", 1, 8, 8])], ["N", 1, 1, 1])
    save("two_inputs", [helper.make_node("Add", ["images", "more"], ["features"])],
         [("images", ["N", 3, 8, 8]), ("more", ["N", 3, 8, 8])], ["N", 3, 8, 8])

    # Half a kilobyte, so that the exporter keeps it in a file of its own.
    kernel = onnx.numpy_helper.from_array(np.linspace(-1, 1, 5 * 3 * 3 * 3, dtype=np.float32).reshape(5, 3, 3, 3), "kernel")
    convolution = helper.make_node("Conv", ["images", "kernel"], ["maps"])
    save("weights_apart", [convolution, helper.make_node("GlobalAveragePool", ["maps"], ["features"])],
         [("images", ["N", 3, 8, 8])], ["N", 5, 1, 1], [kernel], save_as_external_data=True, location="weights_apart.bin",
         size_threshold=0)

    # As PyTorch's exporter notes them: with the name of the batch that is left open.
    save("noted_shapes", [convolution, helper.make_node("GlobalAveragePool", ["maps"], ["features"])],
         [("images", ["batch", 3, 8, 8])], ["batch", 5, 1, 1], [kernel], notes=[("maps", ["batch", 5, 6, 6])])
    for name, type in [("halves", TensorProto.FLOAT16), ("doubles", TensorProto.DOUBLE)]:
        save(name, [pool], [("images", ["N", 3, 8, 8])], ["N", 3, 1, 1], type=type)
    cast = helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT)
    save("bytes", [cast, helper.make_node("GlobalAveragePool", ["floats"], ["features"])], [("images", ["N", 3, 8, 8])],
         ["N", 3, 1, 1], type=TensorProto.UINT8)
    save("last_axis", [helper.make_node("ReduceMean", ["images"], ["features"], axes=[1, 2], keepdims=1)],
         [("images", ["N", 6, 10, 3])], ["N", 1, 1, 3])
    save("no_images", [pool], [("images", [0, 3, 8, 8])], [0, 3, 1, 1])

    # A row of pixels is a token.
    split = helper.make_node("ReduceMean", ["images"], ["rows"], axes=[3], keepdims=0)
    swap = helper.make_node("Transpose", ["rows"], ["tokens"], perm=[0, 2, 1])
    mean = helper.make_node("ReduceMean", ["rows"], ["features"], axes=[2], keepdims=0)
    save("several_outputs", [split, swap, mean], [("images", ["N", 3, 8, 8])], ["N", 3], more_outputs=[("tokens", ["N", 8, 3])])

    # As a normalisation is that was exported for training: by the mean of the batch.
    means = helper.make_node("GlobalAveragePool", ["images"], ["means"])
    of_batch = helper.make_node("ReduceMean", ["means"], ["mean"], axes=[0])
    save("mean_of_batch", [means, of_batch, helper.make_node("Sub", ["means", "mean"], ["features"])],
         [("images", ["N", 3, 8, 8])], ["N", 3, 1, 1])
    # Others leave the first image of a batch as it is.
    axis = onnx.numpy_helper.from_array(np.array(0), "axis")
    save("sums_of_batch", [means, helper.make_node("CumSum", ["means", "axis"], ["features"])],
         [("images", ["N", 3, 8, 8])], ["N", 3, 1, 1], [axis])
    # Each mixes one image alone with the others.
    flat = helper.make_node("Flatten", ["means"], ["flat"])
    for row in range(4):
        mixing = np.eye(4, dtype=np.float32)
        mixing[row] = 0.25
        save(f"mixes_image_{row}", [means, flat, helper.make_node("MatMul", ["mixing", "flat"], ["features"])],
             [("images", [4, 3, 8, 8])], [4, 3], [onnx.numpy_helper.from_array(mixing, "mixing")])
    # What no noise shows: images of one colour are mixed.
    plain = [
        means, helper.make_node("Sub", ["images", "means"], ["centred"]),
        helper.make_node("Mul", ["centred", "centred"], ["squares"]),
        helper.make_node("GlobalAveragePool", ["squares"], ["variances"]),
        helper.make_node("Less", ["variances", "least"], ["is_plain"]),
        helper.make_node("ReduceMean", ["means"], ["mean"], axes=[0]),
        helper.make_node("Where", ["is_plain", "mean", "means"], ["features"]),
    ]
    least = onnx.numpy_helper.from_array(np.array(1e-4, dtype=np.float32), "least")
    save("mixes_plain_images", plain, [("images", ["N", 3, 8, 8])], ["N", 3, 1, 1], [least])
    brightest = helper.make_node("ReduceMax", ["images"], ["brightest"], keepdims=0)
    save("by_brightest", [means, brightest, helper.make_node("Div", ["means", "brightest"], ["features"])],
         [("images", ["N", 3, 8, 8])], ["N", 3, 1, 1])
    noise = helper.make_node("RandomUniform", [], ["noise"], shape=[1, 3, 1, 1])
    save("noise", [means, noise, helper.make_node("Add", ["means", "noise"], ["features"])],
         [("images", ["N", 3, 8, 8])], ["N", 3, 1, 1])


if __name__ == "__main__":
    main()
