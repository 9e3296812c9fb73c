"""The check that an exported file answers exactly as the net that was scored, made where nothing of the net is left.

A file may load in the process that wrote it and nowhere else: it may lean on classes, caches or weights that are still
in memory. So a fresh process, ``python -m search.exporting.verification FORMAT FILE NPZ``, loads the file by the means
of its own format alone and answers some images. For ``onnx``, ``saved_model`` and ``litert`` Keras is never loaded.

Rule: with ``p`` the probabilities by the file and ``q`` those that the scored net gave for the same images,
``max |p - q| <= tolerance``; and the class is the same for every image whose two likeliest classes differ by more than
``2 tolerance`` in ``q``, because two that are nearer may change places within it. The tolerance is 0.0001 on a CPU. On
a GPU it is 0.02, because its libraries may choose other kernels in another process, and round to 10 bits (TF32).

Example: two files that are compared with a net that gave one image the probabilities 0.7 and 0.3. The class is the same
in both, but the second is not the file of these weights:

    >>> scored = np.log([[0.7, 0.3]])
    >>> difference(np.log([[0.70009, 0.29991]]), scored, TOLERANCE)
    ''
    >>> difference(np.log([[0.69, 0.31]]), scored, TOLERANCE)
    'probabilities differ by up to 0.01, more than 1e-04'

Exit status 0: it passes. 1: it does not, and the last line on standard error says why.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search.errors import StudyStopped
from search.metrics.classification import log_probabilities
from search.metrics.inference import logits
from search.process.module_path import module_path

if TYPE_CHECKING:
    import numpy.typing as npt


SECONDS = 900
TOLERANCE, TOLERANCE_GPU = 1e-4, 2e-2


def verify_in_fresh_process(file_format: str, file: Path, stored: Path, backend: str, name: str) -> None:
    """Run this module in a process that has imported nothing of ours yet.

    Args:
        file_format: ``keras``, or a key of ``RUNTIMES``.
        file: The exported file; a folder for ``saved_model``.
        stored: An ``.npz`` with images ``(N, H, W, C)``, uint8, and the logits ``(N, classes)`` of the scored net:
            ``reload_images`` and ``reload_logits`` for ``keras``, else ``images`` and ``logits``.
        backend: Keras's backend there.
        name: What the file is called in messages.

    Raises:
        StudyStopped: The file does not load there, not in time, or answers otherwise.
    """
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": module_path(),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # On a GPU the search may still hold most of the memory.
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    command = [sys.executable, "-P", "-m", "search.exporting.verification"]
    command += [file_format, str(file), str(stored)]
    try:
        ended = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise StudyStopped(
            f"{name} did not load in a fresh process in {SECONDS} s; nothing exported"
        ) from None
    if ended.returncode:
        reason = (ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"])[-1]
        raise StudyStopped(f"{name}, loaded in a fresh process, fails: {reason}; nothing exported")


def difference(actual: "npt.NDArray[Any]", expected: "npt.NDArray[Any]", tolerance: float) -> str:
    """What differs between two nets' logits ``(N, classes)`` for the same images; empty where the rule above holds."""
    if actual.shape != expected.shape or not np.isfinite(actual).all():
        return f"outputs of shape {actual.shape}, or not all finite, where {expected.shape} were expected"
    p, q = np.exp(log_probabilities(actual)), np.exp(log_probabilities(expected))
    largest = float(np.abs(p - q).max())
    if not largest <= tolerance:
        return f"probabilities differ by up to {largest:.2g}, more than {tolerance:.0e}"
    margin = np.diff(np.sort(q, axis=1)[:, -2:], axis=1)[:, 0]
    changed = int(((p.argmax(1) != q.argmax(1)) & (margin > 2 * tolerance)).sum())
    return f"{changed} of {len(actual)} images change their class" if changed else ""


def with_onnx(file: str, images: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
    """Outputs ``(N, classes)`` of ONNX Runtime for float32 ``images`` ``(N, H, W, C)``."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    outputs: npt.NDArray[Any] = session.run(None, {session.get_inputs()[0].name: images})[0]
    return outputs


def with_saved_model(file: str, images: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
    """Outputs of TensorFlow for a SavedModel, by the endpoint that Keras names ``serve``."""
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    loaded = tf.saved_model.load(file)  # by name: its variables go with it
    outputs: npt.NDArray[Any] = loaded.serve(tf.constant(images)).numpy()
    return outputs


def with_litert(file: str, images: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
    """Outputs of LiteRT's interpreter, as TensorFlow brings it along."""
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


def verify(file_format: str, file: str, stored_file: str) -> str:
    """What differs, or an empty text; see ``verify_in_fresh_process``."""
    prefix = "reload_" if file_format == "keras" else ""
    with np.load(stored_file) as stored:
        images, expected = stored[f"{prefix}images"], stored[f"{prefix}logits"]
    if file_format != "keras":
        return difference(RUNTIMES[file_format](file, images.astype(np.float32)), expected, TOLERANCE)

    import keras

    from search.process import backends

    tolerance = TOLERANCE if backends.current().use_device(None) == "cpu" else TOLERANCE_GPU
    return difference(logits(keras.models.load_model(file), images), expected, tolerance)


if __name__ == "__main__":
    sys.exit(verify(*sys.argv[1:]) or 0)  # Of words the status is 1, and they are printed on standard error.
