"""``python -m search.predict``: class and confidence of image files, by an exported model."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from search.command import main, make_app
from search.errors import InputError
from search.evaluation.answers import Prediction, show_csv, show_json, show_table
from search.evaluation.inference import batches, classify, quiet, read_export, read_temperature


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
