"""The section on baselines: the net beside simpler models that were given the same test images."""

from collections.abc import Sequence

import numpy as np

from search.metrics.baselines import NAMES
from search.reporting.elements import Block, Cell, Rows, Section, Table, Text
from search.reporting.export_reader import ExportReader
from search.reporting.facts import Facts
from search.reporting.formatting import (
    DASH,
    accuracy_interval,
    decimal_or_dash,
    interval_of_test,
    macro_f1_of,
    percent_interval,
    percent_or_dash,
)


def baseline_section(facts: Facts) -> Section:
    """The export's baselines, and the one that needs no training."""
    blocks: list[Block] = [] if facts.exported is None else [_table(facts, facts.exported)]
    if facts.exported is None or not facts.exported.summary.get("baselines"):
        blocks.append(
            Text(
                "No linear model was trained beside the net. To have them: python -m search.export "
                f"--study {facts.config.study} --baseline svm,logistic (which scores the test images once more).",
                "note",
            )
        )
    return Section("baselines", "Baselines", blocks)


def _table(facts: Facts, exported: ExportReader) -> Table:
    summary, matrix = exported.summary, exported.matrix()
    net = {**summary, "how": "", "test_accuracy_interval": interval_of_test(summary)}
    models = {"the net": net | ({"macro_f1": macro_f1_of(matrix)} if matrix else {})}
    for key, figures in summary.get("baselines", {}).items():
        on = ", on the backbone's features" if figures.get("on") == "features" else ""
        models[f"{NAMES.get(figures.get('name', key), key)}{on}"] = figures
    rows: Rows = [
        [
            name,
            percent_or_dash(figures["test_accuracy"]),
            percent_interval(*figures["test_accuracy_interval"]),
            decimal_or_dash(figures["macro_f1"]),
            f"{figures.get('train_images', 0):,}",
            str(figures["how"]),
        ]
        for name, figures in models.items()
    ]
    # Where the images are not on this host nothing says which class most of them are of: the test images choose none.
    if matrix and facts.dataset is not None:
        rows.append(_largest_class(facts, matrix, np.asarray(facts.dataset.train_counts)))
    head = ["model", "test accuracy", "95 % interval", "macro F1", "training images", "how"]
    return Table("The net beside baselines, on the same test images", head, rows, text_columns=(5,))


def _largest_class(facts: Facts, matrix: Sequence[Sequence[int]], sizes: np.ndarray) -> list[Cell]:
    """The baseline that always answers with the class that most training images have."""
    tested = np.sum(matrix, axis=1)
    largest, images = int(sizes.argmax()), int(tested.sum())
    accuracy = int(tested[largest]) / images
    always = np.zeros((len(tested), len(tested)), np.int64)
    always[:, largest] = tested
    how = f"always {facts.config.classes[largest]}, the most frequent"
    if (sizes == sizes[largest]).sum() > 1:
        how = f"always {facts.config.classes[largest]}, one of the most frequent"
    return [
        "one class",
        percent_or_dash(accuracy),
        accuracy_interval(accuracy, images),
        decimal_or_dash(macro_f1_of(always.tolist())),
        DASH,
        how,
    ]
