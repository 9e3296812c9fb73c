"""An export put to use: what it is read from, and the classes of image files a batch at a time."""

import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from search.config import RESIZES, check_choice
from search.errors import InputError
from search.evaluation.answers import Prediction


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what is written to standard error, by native code too, unless the block fails.

    TensorFlow talks of its processor and of drivers while it is imported, whatever its log level (2.21).
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


class Shape(NamedTuple):
    """The images that a net takes, as the last arguments of ``search.data.decode.decode``."""

    height: int
    width: int
    channels: int
    way: str


def read_export(folder: Path) -> tuple[list[str], Shape]:
    """Class names, and what an image file must become, of the export in ``folder``.

    Raises:
        InputError: There is no whole export.
    """
    if not folder.is_dir():
        raise InputError(
            f"--model {folder}: no such folder; expected one that search.export made, exports/STUDY"
        )
    missing = [
        name for name in ("model.keras", "labels.json", "preprocessing.json") if not (folder / name).is_file()
    ]
    if missing:
        raise InputError(
            f"--model {folder}: is no export, it has no {missing[0]}; make one with search.export"
        )
    try:
        labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
        facts = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
        way = facts.get("resize", RESIZES[0])
        check_choice("resize", way, RESIZES)
        return list(labels), Shape(int(facts["height"]), int(facts["width"]), int(facts["channels"]), way)
    except (ValueError, KeyError, TypeError, AttributeError, InputError) as error:
        raise InputError(
            f"--model {folder}: its labels.json or preprocessing.json is spoilt ({error}); export again"
        ) from None


def read_temperature(folder: Path) -> float:
    """What the export's outputs are divided by before they become confidences; 1 for one that says nothing of it.

    Raises:
        InputError: What its ``summary.json`` says is no temperature.
    """
    summary = folder / "summary.json"
    if not summary.is_file():
        return 1.0
    try:
        facts = json.loads(summary.read_text(encoding="utf-8"))
        temperature = float(facts.get("calibration", {}).get("temperature", 1.0))
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"--model {folder}: its summary.json is spoilt ({error}); export again") from None
    if not 0 < temperature < math.inf:
        raise InputError(
            f"--model {folder}: its summary.json has the temperature {temperature}, expected a number above 0; "
            "export again"
        )
    return temperature


def batches(images: Sequence[Path], shape: Shape) -> Iterator[Sequence[Path]]:
    """As many files at a time as the model takes in one batch."""
    from search.evaluation.forward import batch_size

    size = batch_size(shape.height, shape.width)
    for start in range(0, len(images), size):
        yield images[start : start + size]


def classify(
    net: Any, files: Sequence[Path], labels: Sequence[str], shape: Shape, temperature: float
) -> list[Prediction]:
    """Answers for one batch; a file that cannot be read gets its reason, the others are not held up by it."""
    import numpy as np

    from search.data.decode import decode
    from search.evaluation.forward import logits
    from search.evaluation.scores import log_probabilities

    answers: dict[int, Prediction] = {}
    pixels: dict[int, Any] = {}
    for index, file in enumerate(files):
        try:
            pixels[index] = decode(file, *shape)
        except InputError as error:
            # Its advice after the semicolon is for preparing a data set; the file is named beside it anyway.
            reason = str(error).removeprefix(f"{file}: ").partition("; ")[0]
            answers[index] = Prediction(str(file), error=reason)
    if pixels:
        found = np.exp(log_probabilities(logits(net, np.stack(list(pixels.values()))), temperature))
        for index, row in zip(pixels, found, strict=True):
            best = int(row.argmax())
            answers[index] = Prediction(str(files[index]), labels[best], float(row[best]))
    return [answers[index] for index in range(len(files))]
