"""Make the example notebook: ``python docs/notebook.py > docs/notebook.ipynb``.

Its cells run in a fresh folder, and what each of them shows is kept. What a search prints while it goes is left out: a
notebook shows one table in its place, which the last one replaces, and it names the host. A test runs the cells, and
compares them with the page.
"""

import json
import os
import sys
import tempfile
from typing import Any

CELLS = (
    """\
# A search in a notebook

Arrays go in; the best model with its figures comes out. Any images do, and any number of classes: `uint8` arrays of
`(N, H, W)` or `(N, H, W, C)`, or `data="photos/"` for a folder of class folders. Here they are the small digits of
scikit-learn, 8 by 8 pixels, of which the last part is the test set.""",
    """\
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

images, labels = load_digits(return_X_y=True)
pixels = (images.reshape(-1, 8, 8) * 255 / 16).astype("uint8")
x_train, x_test, y_train, y_test = train_test_split(pixels, labels, test_size=0.2, random_state=0)""",
    """\
## Search

Three short trials, so that it takes a minute; leave `trials` and `epochs` out for a real search. The arguments are
named as the flags of the command are: `python -m search.run --study digits_arrays --trials 3`. A cell that was
interrupted goes on where it was when it is run again.""",
    """\
from search import run_study

result = run_study("digits_arrays", data=(x_train, y_train, x_test, y_test), trials=3, epochs=2)""",
    "A result shows itself: how the study stands, the figures of its export, the confusion matrix and the curves.",
    "result",
    "## What it is good for\n\nThe exported net answers for arrays, files and folders alike.",
    """\
for truth, one in zip(y_test[:5], result.predict(x_test[:5]), strict=True):
    print(f"true {truth}, predicted {one.label} with a confidence of {one.confidence:.2f}")""",
    "The net itself takes raw pixels and gives logits; it needs nothing but Keras.",
    """\
model = result.export.model()
model.output_shape""",
    "Every class by itself, and the counts behind the picture.",
    """\
print(result.export.report)
print(result.export.confusion_matrix)""",
    """\
## Further

`export_study("digits_arrays", trial=1)` exports another trial, `prefer="balanced"` the cheapest that is as good by
chance, and `report_study("digits_arrays")` writes the whole report into one HTML file.""",
)


def is_code(cell: str) -> bool:
    """Whether a cell is run: text is in sentences, or has a heading."""
    return not cell.startswith("#") and not cell.endswith(".")


def execute(cells: tuple[str, ...]) -> list[dict[str, Any]]:
    """Run the cells in the current folder, one after another in one process.

    Returns:
        The cells as a notebook's file has them, with what they show.
    """
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    shell, found, count = InteractiveShell.instance(), [], 0
    for place, source in enumerate(cells):
        cell: dict[str, Any] = {
            "id": f"cell-{place}",
            "metadata": {},
            "source": source.splitlines(keepends=True),
        }
        if not is_code(source):
            found.append({"cell_type": "markdown", **cell})
            continue
        count += 1
        with capture_output() as captured:
            ran = shell.run_cell(source, store_history=True)
        ran.raise_error()
        outputs: list[dict[str, Any]] = []
        if captured.stdout and ran.result is None and "run_study(" not in source:
            outputs.append(
                {"output_type": "stream", "name": "stdout", "text": captured.stdout.splitlines(True)}
            )
        if ran.result is not None:
            data, metadata = shell.display_formatter.format(ran.result)
            shown = {
                kind: text for kind, text in data.items() if kind == "text/html" or "text/html" not in data
            }
            outputs.append(
                {
                    "output_type": "execute_result",
                    "execution_count": count,
                    "data": shown,
                    "metadata": metadata,
                }
            )
        found.append({"cell_type": "code", **cell, "execution_count": count, "outputs": outputs})
    return found


def notebook(cells: list[dict[str, Any]]) -> str:
    """A notebook's file (format 4.5)."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    whole = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    into = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()
    os.chdir(into)
    sys.stdout.write(notebook(execute(CELLS)))
