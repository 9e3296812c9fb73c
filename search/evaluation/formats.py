"""``--format onnx,saved_model,litert``: the model for other runtimes, each compared with Keras before it counts."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from search.errors import InputError
from search.evaluation.reload import run_fresh

if TYPE_CHECKING:
    from search.child import ForkServer
    from search.server import Channel

# Compared in each format: training images, so that a format that differs costs no look at the test images.
IMAGES = 100


class Format(NamedTuple):
    """One format.

    Attributes:
        file: Its name in the export; a folder for ``saved_model``.
        keras: What Keras calls it.
        packages: What must be installed beside the project itself.
    """

    file: str
    keras: str
    packages: tuple[str, ...] = ()


FORMATS = {
    "onnx": Format("model.onnx", "onnx", ("tf2onnx", "onnx", "onnxruntime")),
    "saved_model": Format("saved_model", "tf_saved_model"),
    "litert": Format("model.tflite", "litert"),
}


def check_formats(names: Sequence[str]) -> tuple[str, ...]:
    """The formats asked for, each once, in the order of ``FORMATS``.

    Raises:
        InputError: One is unknown, or a package that it needs is not installed.
    """
    for name in names:
        if name not in FORMATS:
            raise InputError(
                f"--format {name!r}: expected one or more of {', '.join(FORMATS)}, with commas between them"
            )
        missing = [package for package in FORMATS[name].packages if find_spec(package) is None]
        if missing:
            raise InputError(
                f"--format {name}: needs {' and '.join(missing)}, not installed here: pip install "
                f"{' '.join(missing)}"
            )
    return tuple(name for name in FORMATS if name in names)


def convert(payload: dict[str, Any], channel: "Channel") -> None:
    """Write the formats, and what Keras says of some images, as a child's job on the TensorFlow backend.

    Args:
        payload: ``model`` (file), ``folder`` (where to), ``formats`` (names), ``dataset`` (folder of the prepared
            images), ``out`` (an ``.npz`` to write, with ``images`` and ``logits``).
        channel: Gets ``done``.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    from search.data import open_dataset
    from search.evaluation.forward import logits

    # On a GPU Keras may round to 10 bits (TF32), where the other runtimes compute on the CPU.
    tf.config.set_visible_devices([], "GPU")
    model = keras.models.load_model(payload["model"])
    images, _ = open_dataset(Path(payload["dataset"])).train()
    chosen = np.linspace(0, len(images) - 1, min(IMAGES, len(images))).round().astype(np.int64)
    np.savez(payload["out"], images=images[chosen], logits=logits(model, images, chosen))
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            # Tensors that are no variables would become inputs of the ONNX file, and it would not run (tf2onnx 1.17).
            layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)
    # Only now: Keras writes no ONNX of a model that was never called.
    for name in payload["formats"]:
        kind = FORMATS[name]
        model.export(str(Path(payload["folder"]) / kind.file), format=kind.keras, verbose=False)
    channel.send({"kind": "done"})


def write_formats(
    server: "ForkServer", names: Sequence[str], model: Path, dataset: Path, scratch: Path, log: Path
) -> None:
    """Convert ``model`` in a child, then load each file in a fresh process and compare it with Keras.

    Args:
        server: Starts the child; its backend must be TensorFlow.
        names: Of formats.
        model: The ``.keras`` file; the others are put beside it.
        dataset: Folder of the prepared images.
        scratch: A folder for what nobody keeps.
        log: Gets what the child prints.

    Raises:
        TrialFailed: A format cannot be written.
        StudyStopped: A file does not load, or says something else than Keras.
    """
    stored = scratch / "formats.npz"
    payload = {
        "model": str(model),
        "folder": str(model.parent),
        "formats": list(names),
        "dataset": str(dataset),
        "out": str(stored),
    }
    with server.start("search.evaluation.formats:convert", payload, log) as child:
        child.result()
    for name in names:
        file = model.parent / FORMATS[name].file
        arguments = [name, str(file), str(stored)]
        run_fresh("search.evaluation.foreign", arguments, "tensorflow", f"--format {name}: {file.name}")
