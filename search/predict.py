"""``python -m search.predict``: class and confidence of image files, by an exported model."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from search.cli.app import main, make_app
from search.cli.options import whole
from search.cli.parsing import place, required_place
from search.config.option import check_number
from search.errors import InputError


def predict(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE_OR_FOLDER...", help="Image files, or folders of them.", parser=required_place
        ),
    ],
    model: Annotated[
        Path,
        typer.Option(
            "--model", metavar="EXPORT_FOLDER", help="What search.export made.", parser=required_place
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    proba: Annotated[bool, typer.Option("--proba", help="Give the probability of every class.")] = False,
    top: Annotated[
        int | None, whole("--top", metavar="K", help="Give the K likeliest classes with their probabilities.")
    ] = None,
    unsure: Annotated[
        float | None,
        typer.Option(
            "--unsure", metavar="CONFIDENCE", help="Answer unsure where the confidence is lower, 0 to 1."
        ),
    ] = None,
    grid: Annotated[
        Path | None,
        typer.Option("--grid", metavar="FILE.png", help="Draw the images with their answers.", parser=place),
    ] = None,
    matrix: Annotated[
        Path | None,
        typer.Option(
            "--matrix",
            metavar="FILE.png",
            help="Draw the confusion matrix of folders of classes.",
            parser=place,
        ),
    ] = None,
) -> None:
    """Say class and confidence of images, by an exported model.

    Of a folder whose subfolders are classes of the model, accuracy, report and confusion matrix are printed too.

    A file that cannot be read is named on standard error and makes the exit code 1; the others are answered.
    """
    if as_json and as_csv:
        raise InputError("--json and --csv exclude each other: give one of them")
    from search.prediction.evaluation import report_accuracy, true_classes
    from search.prediction.grid import check_not_given, check_png_path, write_prediction_grid
    from search.prediction.loader import read_export
    from search.prediction.output import Shown, show_csv, show_json, show_table
    from search.prediction.pictures import find_images
    from search.prediction.predict import predict_images

    labels, shape = read_export(model)
    if top is not None:
        check_number("--top", top, 1, len(labels))
    if unsure is not None:
        check_number("--unsure", unsure, 0, 1)
    check_png_path("--grid", grid)
    check_png_path("--matrix", matrix)
    files = find_images(images, lambda line: print(line, file=sys.stderr))
    check_not_given(grid, matrix, files)
    truths = true_classes(images, files, labels, matrix)
    predictions = [
        replace(prediction, truth=truth)
        for prediction, truth in zip(predict_images(model, files), truths, strict=True)
    ]
    shown = Shown(labels, proba, top or 0, unsure)
    (show_json if as_json else show_csv if as_csv else show_table)(predictions, shown)
    sys.stdout.flush()
    # Where a program reads standard output, the scores are for the person beside it.
    report_accuracy(predictions, labels, matrix, sys.stderr if as_json or as_csv else sys.stdout, unsure)
    if grid is not None and (note := write_prediction_grid(grid, predictions, shape.depth, shown)):
        print(note, file=sys.stderr)
    unreadable = [prediction for prediction in predictions if prediction.error]
    for prediction in unreadable:
        print(f"unreadable: {prediction.image}: {prediction.error}", file=sys.stderr)
    if unreadable:
        raise SystemExit(1)


app = make_app(
    predict,
    example="""
python -m search.predict --model exports/cifar_cnn photo.jpg
python -m search.predict --model exports/cifar_cnn photos/ --csv --proba
python -m search.predict --model exports/cifar_cnn more/test/ --grid grid.png
""",
)

if __name__ == "__main__":
    main(app)
