"""``--format onnx,saved_model,litert``: the model for other runtimes, each file verified before the export counts.

A new format is one entry of ``FORMATS``, and one of ``search.exporting.verification.RUNTIMES``, which answers with it.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from search.config.interpreter import to_install
from search.data import open_dataset
from search.errors import InputError
from search.exporting.class_names import embed_class_names
from search.exporting.verification import verify_in_fresh_process
from search.metrics.inference import logits

if TYPE_CHECKING:
    from search.process.channel import Channel
    from search.process.fork_server import ForkServer


# Number of images at most that each format is compared on: training images, so that a format that differs costs no
# scoring of the test images.
IMAGES = 100


class Format(NamedTuple):
    """One format of the exported model.

    Attributes:
        file: Its name in the export; a folder for ``saved_model``.
        keras_name: What Keras calls the format.
        packages: What must be installed beside the project itself.
    """

    file: str
    keras_name: str
    packages: tuple[str, ...] = ()


FORMATS = {
    "onnx": Format("model.onnx", "onnx", ("tf2onnx", "onnx", "onnxruntime")),
    "saved_model": Format("saved_model", "tf_saved_model"),
    "litert": Format("model.tflite", "litert"),
}


def check_formats(names: Sequence[str]) -> tuple[str, ...]:
    """The requested formats, each once, in the order of ``FORMATS``.

    Raises:
        InputError: A format is unknown, or a package that it needs is not installed.
    """
    for name in names:
        if name not in FORMATS:
            raise InputError(
                f"--format {name!r}: expected one or more of {', '.join(FORMATS)}, with commas between them"
            )
        missing = [package for package in FORMATS[name].packages if find_spec(package) is None]
        if missing:
            raise InputError(
                f"--format {name}: needs {' and '.join(missing)}, not installed here; {to_install(name)}"
            )
    return tuple(name for name in FORMATS if name in names)


def convert(payload: dict[str, Any], channel: "Channel") -> None:
    """Write the formats, and Keras's own answers to some images: the job of a child on the TensorFlow backend.

    Args:
        payload: ``model`` (its file), ``folder`` (for the formats), ``formats`` (names), ``dataset`` (folder of the
            prepared images), ``out`` (an ``.npz`` to write, with ``images`` and ``logits``).
        channel: Gets ``done``, with the number of ``images``.
    """
    import keras
    import tensorflow as tf

    # On a GPU Keras may round to 10 bits (TF32), where the other runtimes compute on the CPU.
    tf.config.set_visible_devices([], "GPU")
    model = keras.models.load_model(payload["model"])
    dataset = open_dataset(Path(payload["dataset"]))
    images, _ = dataset.train()
    chosen = np.linspace(0, len(images) - 1, min(IMAGES, len(images))).round().astype(np.int64)
    np.savez(payload["out"], images=images[chosen], logits=logits(model, images, chosen))
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            # Tensors that are no variables would become inputs of the ONNX file, and it would not run (tf2onnx 1.17).
            layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)
    # Only now, because Keras writes no ONNX of a model that was never called.
    for name in payload["formats"]:
        form = FORMATS[name]
        file = Path(payload["folder"]) / form.file
        model.export(str(file), format=form.keras_name, verbose=False)
        embed_class_names(name, file, dataset.classes)
    channel.send({"kind": "done", "images": len(chosen)})


def write_formats(
    server: "ForkServer", names: Sequence[str], model: Path, dataset: Path, scratch: Path, log: Path
) -> int:
    """Convert ``model`` in a child, then verify each file in a fresh process; return on how many images.

    Args:
        server: Starts the child; its backend must be TensorFlow.
        names: Of the formats.
        model: The ``.keras`` file; the others are put beside it.
        dataset: Folder of the prepared images.
        scratch: A folder for files that nobody keeps.
        log: Gets what the child prints.

    Raises:
        TrialFailed: A format cannot be written.
        StudyStopped: A file does not load, or answers otherwise than Keras.
    """
    stored = scratch / "formats.npz"
    payload = {
        "model": str(model),
        "folder": str(model.parent),
        "formats": list(names),
        "dataset": str(dataset),
        "out": str(stored),
    }
    with server.start("search.exporting.formats:convert", payload, log) as child:
        images: int = child.result()["images"]
    for name in names:
        file = model.parent / FORMATS[name].file
        verify_in_fresh_process(name, file, stored, "tensorflow", f"--format {name}: {file.name}")
    return images
