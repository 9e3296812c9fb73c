"""An export read from its folder, and images classified by it a batch at a time."""

import itertools
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search.config.option import check_choice
from search.config.study_settings import RESIZES
from search.data.decode import DEPTH
from search.data.image_files import UnreadableImage
from search.data.pixel_range import REFUSED, WHITE
from search.errors import InputError, join_words
from search.metrics.classification import log_probabilities
from search.metrics.inference import batch_size, logits
from search.prediction.class_names import read_class_names
from search.prediction.output import Prediction
from search.prediction.pictures import InputShape, Picture
from search.process import backends

# Of an export; the summary has the temperature, without which confidences would be other ones.
NEEDED = ("model.keras", "labels.json", "preprocessing.json", "summary.json")


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what is written to standard error, by native code too, unless the block has a fault.

    An ``InputError`` is none: its one line says all.
    TensorFlow writes of its processor and of drivers while it is imported, whatever its log level (2.21).
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except InputError:
            raise
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def read_export(folder: Path) -> tuple[list[str], InputShape]:
    """Read an export's class names, and what an image file must become for its net.

    Raises:
        InputError: There is no whole export in ``folder``.
    """
    # A study's name, or a folder of pictures that is named as it, is often given in the place of the study's export.
    of_study = Path("exports") / folder.name
    meant = (
        f"; {of_study} is one"
        if of_study.absolute() != folder.absolute() and (of_study / "model.keras").is_file()
        else ""
    )
    if not folder.is_dir():
        if folder.is_file() and (folder.parent / "model.keras").is_file():
            meant = f"; {folder.parent} is one"
        raise InputError(
            f"--model {folder}: no such folder; expected one that search.export made, exports/STUDY{meant}"
        )
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"--model {folder}: is no export, it has no {missing[0]}{meant or '; make one with search.export'}"
        )
    try:
        labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
        facts = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
        resize = facts.get("resize", RESIZES[0])
        check_choice("resize", resize, RESIZES)
        depth = facts.get(DEPTH)
        if depth is not None:
            check_choice(DEPTH, depth, (REFUSED, *WHITE))
        height, width, channels = (int(facts[name]) for name in ("height", "width", "channels"))
        if not isinstance(labels, list) or len(labels) < 2 or not all(isinstance(one, str) for one in labels):
            raise ValueError("labels.json is no list of the names of classes")
        if len(set(labels)) < len(labels):
            twice = max(labels, key=labels.count)
            raise ValueError(f"labels.json has the class {twice!r} more than once")
    except (ValueError, KeyError, TypeError, AttributeError, InputError) as error:
        raise InputError(
            f"--model {folder}: its labels.json or preprocessing.json is spoilt ({error}); export again"
        ) from None
    _check_class_names(folder, labels)
    return labels, InputShape(height, width, channels, resize, depth)


def _check_class_names(folder: Path, labels: Sequence[str]) -> None:
    """Refuse a ``labels.json`` of another model, or in another order: each image would get a wrong class."""
    names = read_class_names(folder / "model.keras")
    if names is None or names == labels:
        return
    place, (of_file, of_model) = next(
        (place, pair)
        for place, pair in enumerate(itertools.zip_longest(labels, names), start=1)
        if pair[0] != pair[1]
    )
    raise InputError(
        f"--model {folder}: labels.json and model.keras contradict each other (class {place} is {of_file!r} in "
        f"labels.json and {of_model!r} in model.keras); bring back the labels.json that was exported with it, or "
        "export again"
    )


def read_temperature(folder: Path) -> float:
    """Read what an export's outputs are divided by before they become confidences.

    Args:
        folder: The export's, as ``read_export`` has found it.

    Returns:
        The temperature; 1 where the export has none, as one of an older version.

    Raises:
        InputError: What its ``summary.json`` has is no temperature.
    """
    try:
        facts = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        temperature = float(facts.get("calibration", {}).get("temperature", 1.0))
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"--model {folder}: its summary.json is spoilt ({error}); export again") from None
    if not 0 < temperature < math.inf:
        raise InputError(
            f"--model {folder}: its summary.json has the temperature {temperature}, expected a number above 0; "
            "export again"
        )
    return temperature


def load_net(folder: Path, labels: Sequence[str], shape: InputShape) -> Any:
    """Load an export's Keras model, and with it Keras.

    Args:
        folder: The export's.
        labels: What ``read_export`` has found there, as ``shape``.
        shape: Of the images.

    Raises:
        InputError: The file cannot be loaded, or is no net of these classes and images.
    """
    import keras

    try:
        net = keras.models.load_model(folder / "model.keras")
    except Exception as error:  # Of a damaged archive anything may come: BadZipFile, KeyError, zlib.error.
        if backends.is_out_of_memory(error):
            raise
        reason = join_words(type(error).__name__, str(error), "")
        raise InputError(
            f"--model {folder}: model.keras cannot be loaded ({reason}); export it again"
        ) from None

    expected = (None, shape.height, shape.width, shape.channels), (None, len(labels))
    for found, wanted in zip((net.input_shape, net.output_shape), expected, strict=True):
        if len(found) != len(wanted) or any(
            one not in (None, other) for one, other in zip(found, wanted, strict=True)
        ):
            raise InputError(
                f"--model {folder}: its labels.json and preprocessing.json tell of {len(labels)} classes and images of "
                f"{shape.height}x{shape.width}x{shape.channels}, and model.keras takes {net.input_shape[1:]} and gives "
                f"{net.output_shape[1:]}; export again"
            )
    return net


def batches(pictures: Sequence[Picture], shape: InputShape) -> Iterator[Sequence[Picture]]:
    """The pictures in groups of as many as the net takes in one batch."""
    size = batch_size(shape.height, shape.width)
    for start in range(0, len(pictures), size):
        yield pictures[start : start + size]


def classify(
    net: Any,
    pictures: Sequence[Picture],
    labels: Sequence[str],
    shape: InputShape,
    temperature: float,
    seen: Callable[[npt.NDArray[np.uint8]], None] = lambda pixels: None,
) -> list[Prediction]:
    """Classify one batch of pictures; one that cannot be read gets its reason, and does not hold up the others.

    Args:
        net: The Keras model.
        pictures: What to classify.
        labels: The net's classes.
        shape: The images that it takes.
        temperature: What its outputs are divided by.
        seen: Called with what the net is given of those that could be read, ``(N, H, W, C)``, if there are any.
    """
    predictions: dict[int, Prediction] = {}
    pixels: dict[int, Any] = {}
    for index, picture in enumerate(pictures):
        try:
            pixels[index] = picture.pixels(shape)
        except UnreadableImage as error:
            predictions[index] = Prediction(picture.name, error=error.reason)
    if pixels:
        given = np.stack(list(pixels.values()))
        outputs = logits(net, given)
        seen(given)
        probabilities = np.exp(log_probabilities(outputs, temperature))
        for index, row in zip(pixels, probabilities, strict=True):
            best = int(row.argmax())
            predictions[index] = Prediction(
                pictures[index].name, labels[best], float(row[best]), labels=labels, probabilities=row
            )
    return [predictions[index] for index in range(len(pictures))]
