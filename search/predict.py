"""``python -m search.predict``: class and confidence of image files, by an exported model."""

import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from search.command import main, make_app
from search.config import RESIZES, check_choice
from search.errors import InputError
from search.evaluation.answers import Prediction, show_csv, show_json, show_table


def predict_images(model: Path, images: Sequence[Path]) -> list[Prediction]:
    """Classify image files with an export, one answer a file, in the order given.

    Args:
        model: The folder of an export.
        images: Image files of any size; they become pixels as the training images did.

    Raises:
        InputError: ``model`` is no export, or there are no images.
    """
    labels, shape = read_export(model)
    temperature = read_temperature(model)
    if not images:
        raise InputError("no images given; expected image files or folders of them")
    with quiet():
        import keras

        try:
            net = keras.models.load_model(model / "model.keras")
        except (OSError, ValueError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"--model {model}: model.keras cannot be loaded ({reason}); export it again"
            ) from None
    return [
        answer
        for batch in batches(images, shape)
        for answer in classify(net, batch, labels, shape, temperature)
    ]


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


def find_images(given: Sequence[Path]) -> list[Path]:
    """The files given, and those with an image's ending in the folders given, at any depth, sorted by name.

    Raises:
        InputError: There is not one.
    """
    from search.data.folder import IMAGE_ENDINGS

    found: list[Path] = []
    for path in given:
        if not path.is_dir():
            found.append(path)
            continue
        inside = (
            file for file in path.rglob("*") if file.name.lower().endswith(IMAGE_ENDINGS) and file.is_file()
        )
        found.extend(sorted(file for file in inside if not file.name.startswith(".")))
    if not found:
        names = ", ".join(map(str, given)) or "nothing"
        raise InputError(
            f"no images in {names}; expected image files or folders of them ({', '.join(sorted(IMAGE_ENDINGS))})"
        )
    return found


def predict(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE_OR_FOLDER...", help="Image files, or folders of them.")
    ],
    model: Annotated[Path, typer.Option("--model", metavar="EXPORT_FOLDER", help="What search.export made.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    grid: Annotated[
        Path | None, typer.Option("--grid", metavar="FILE.png", help="Draw the images with their answers.")
    ] = None,
    matrix: Annotated[
        Path | None,
        typer.Option("--matrix", metavar="FILE.png", help="Draw the confusion matrix of folders of classes."),
    ] = None,
) -> None:
    """Say class and confidence of images, by an exported model.

    Of a folder whose subfolders are classes of the model, accuracy, report and confusion matrix are printed too.

    A file that cannot be read is named on standard error and makes the exit code 1; the others are answered.
    """
    if as_json and as_csv:
        raise InputError("--json and --csv exclude each other: give one of them")
    from search.evaluation.answer_grid import check_picture, write_answer_grid
    from search.evaluation.outside import judge, known_truths

    labels, _ = read_export(model)
    check_picture("--grid", grid)
    check_picture("--matrix", matrix)
    files = find_images(images)
    truths = known_truths(images, files, labels, matrix)
    answers = [
        replace(answer, truth=truth)
        for answer, truth in zip(predict_images(model, files), truths, strict=True)
    ]
    (show_json if as_json else show_csv if as_csv else show_table)(answers)
    sys.stdout.flush()
    # Where a program reads standard output, the scores are for the person beside it.
    judge(answers, labels, matrix, sys.stderr if as_json or as_csv else sys.stdout)
    if grid is not None and (note := write_answer_grid(grid, answers)):
        print(note, file=sys.stderr)
    unread = [answer for answer in answers if answer.error]
    for answer in unread:
        print(f"unreadable: {answer.image}: {answer.error}", file=sys.stderr)
    if unread:
        raise SystemExit(1)


app = make_app(
    predict,
    example="""
python -m search.predict --model exports/cifar_cnn photo.jpg
python -m search.predict --model exports/cifar_cnn photos/ --csv
python -m search.predict --model exports/cifar_cnn more/test/ --grid grid.png
""",
)

if __name__ == "__main__":
    main(app)
