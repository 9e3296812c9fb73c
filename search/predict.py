"""``python -m search.predict``: class and confidence of image files, by an exported model."""

import csv
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from search.command import main, make_app
from search.config import RESIZES, check_choice
from search.errors import InputError


@dataclass(frozen=True)
class Prediction:
    """What the model says of one file.

    Attributes:
        image: The file, as it was given.
        label: The likeliest class; None for a file that could not be read.
        confidence: Its probability, 0 to 1; None for a file that could not be read.
        error: Why it could not be read; empty otherwise.
    """

    image: str
    label: str | None = None
    confidence: float | None = None
    error: str = ""


def predict_images(model: Path, images: Sequence[Path]) -> list[Prediction]:
    """Classify image files with an export, one answer a file, in the order given.

    Args:
        model: The folder of an export.
        images: Image files of any size; they become pixels as the training images did.

    Raises:
        InputError: ``model`` is no export, or there are no images.
    """
    labels, shape = read_export(model)
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
    return [answer for batch in batches(images, shape) for answer in classify(net, batch, labels, shape)]


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


def batches(images: Sequence[Path], shape: Shape) -> Iterator[Sequence[Path]]:
    """As many files at a time as the model takes in one batch."""
    from search.evaluation.forward import batch_size

    size = batch_size(shape.height, shape.width)
    for start in range(0, len(images), size):
        yield images[start : start + size]


def classify(net: Any, files: Sequence[Path], labels: Sequence[str], shape: Shape) -> list[Prediction]:
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
        found = np.exp(log_probabilities(logits(net, np.stack(list(pixels.values())))))
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


def show_table(answers: Sequence[Prediction]) -> None:
    """One row a file that could be read."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:  # A file or a pipe has no width to keep to: no name is cut or folded.
        console = Console(width=40 + max(len(answer.image) + len(answer.label or "") for answer in answers))
    table = Table("image", "class", "confidence")
    for answer in answers:
        if answer.label is not None:
            table.add_row(Text(answer.image), Text(answer.label), f"{100 * (answer.confidence or 0):.2f} %")
    console.print(table)


def show_csv(answers: Sequence[Prediction]) -> None:
    """One line a file, with the reason in the last column of one that could not be read."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["image", "class", "confidence", "error"])
    for answer in answers:
        confidence = "" if answer.confidence is None else f"{answer.confidence:.6f}"
        writer.writerow([answer.image, answer.label or "", confidence, answer.error])


def show_json(answers: Sequence[Prediction]) -> None:
    """A list of objects ``image``, ``class``, ``confidence``, ``error``."""
    rows = [
        {"class" if name == "label" else name: value for name, value in asdict(answer).items()}
        for answer in answers
    ]
    print(json.dumps(rows, indent=2, ensure_ascii=False))


def predict(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE_OR_FOLDER...", help="Image files, or folders of them.")
    ],
    model: Annotated[Path, typer.Option("--model", metavar="EXPORT_FOLDER", help="What search.export made.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Say class and confidence of images, by an exported model.

    A file that cannot be read is named on standard error and makes the exit code 1; the others are answered.
    """
    if as_json and as_csv:
        raise InputError("--json and --csv exclude each other: give one of them")
    read_export(model)
    answers = predict_images(model, find_images(images))
    (show_json if as_json else show_csv if as_csv else show_table)(answers)
    unread = [answer for answer in answers if answer.error]
    sys.stdout.flush()
    for answer in unread:
        print(f"unreadable: {answer.image}: {answer.error}", file=sys.stderr)
    if unread:
        raise SystemExit(1)


app = make_app(
    predict,
    example="""
python -m search.predict --model exports/cifar_cnn photo.jpg
python -m search.predict --model exports/cifar_cnn photos/ --csv
""",
)

if __name__ == "__main__":
    main(app)
