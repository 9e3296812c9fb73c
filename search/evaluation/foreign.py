"""``python -m search.evaluation.foreign FORMAT FILE NPZ``: does a file in another format say what Keras says?

Runs in a process of its own, in which Keras is never loaded: the format's own runtime and the file must do.
Exit status 0: it does; 1: it does not, and the last line says in what.
"""

import sys
from typing import TYPE_CHECKING, Any

from search.evaluation.reload import TOLERANCE, difference

if TYPE_CHECKING:
    import numpy.typing as npt


def with_onnx(file: str, images: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
    """Outputs ``(N, classes)`` of ONNX Runtime for float32 ``images`` ``(N, H, W, C)``."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    outputs: npt.NDArray[Any] = session.run(None, {session.get_inputs()[0].name: images})[0]
    return outputs


def with_saved_model(file: str, images: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
    """The same of TensorFlow, by the endpoint that Keras names ``serve``."""
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    loaded = tf.saved_model.load(file)  # by name: its variables go with it
    outputs: npt.NDArray[Any] = loaded.serve(tf.constant(images)).numpy()
    return outputs


def with_litert(file: str, images: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
    """The same of LiteRT's interpreter, as TensorFlow brings it along."""
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(model_path=file)
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.resize_tensor_input(taken["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(taken["index"], images)
    interpreter.invoke()
    outputs: npt.NDArray[Any] = interpreter.get_tensor(given["index"])
    return outputs


RUNTIMES = {"onnx": with_onnx, "saved_model": with_saved_model, "litert": with_litert}


def main(arguments: list[str]) -> int:
    """The command's body: the exit status."""
    import numpy as np

    name, file, stored_file = arguments
    with np.load(stored_file) as stored:
        images, expected = stored["images"].astype(np.float32), stored["logits"]
    problem = difference(RUNTIMES[name](file, images), expected, TOLERANCE)
    if problem:
        print(problem, file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
