"""The net beside simpler answers to the same test images."""

from collections.abc import Sequence

from search.evaluation.baseline import NAMES
from search.reporting.blocks import Block, Cell, Rows, Section, Table, Text
from search.reporting.exported import Exported
from search.reporting.figures import NONE, decimal, fraction, interval, interval_of_test, of_count
from search.reporting.study import Facts


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


def _table(facts: Facts, exported: Exported) -> Table:
    summary = exported.summary
    net = {**summary, "how": "", "test_accuracy_interval": interval_of_test(summary)}
    models = {"the net": net}
    for name, found in summary.get("baselines", {}).items():
        on = ", on the backbone's features" if found.get("on") == "features" else ""
        models[f"{NAMES.get(found.get('name', name), name)}{on}"] = found
    rows: Rows = [
        [
            name,
            fraction(found["test_accuracy"]),
            interval(*found["test_accuracy_interval"]),
            decimal(found["macro_f1"]),
            f"{found.get('train_images', 0):,}",
            str(found["how"]),
        ]
        for name, found in models.items()
    ]
    matrix = exported.matrix()
    if matrix:
        rows.append(_always_the_largest(facts, matrix))
    head = ["model", "test accuracy", "95 % interval", "macro F1", "training images", "how"]
    return Table("The net beside baselines, on the same test images", head, rows, words=(5,))


def _always_the_largest(facts: Facts, matrix: Sequence[Sequence[int]]) -> list[Cell]:
    sizes = [sum(row) for row in matrix]
    largest, images = max(sizes), sum(sizes)
    name = facts.config.classes[sizes.index(largest)]
    share = largest / images
    f1 = 2 * largest / (largest + images) / len(sizes)
    how = f"always {name}, the most frequent" if largest > min(sizes) else "always one and the same, any"
    return ["one class", fraction(share), of_count(share, images), decimal(f1), NONE, how]
