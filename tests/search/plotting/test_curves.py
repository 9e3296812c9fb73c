"""Learning curves, drawn by two routes: as a picture, and in the colours of a page."""

import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import search.templates
from search.plotting.curves import COLOURS, describe_history, plot_history
from search.plotting.paths import DOT, plot_curves

HISTORY = {"loss": [1.5, 0.5], "accuracy": [0.5, 0.9], "val_loss": [1.0, 0.7], "val_accuracy": [0.6, 0.8495]}


@pytest.mark.parametrize("name", ["training", "validation"])
def test_curves_have_one_colour_everywhere(name: str) -> None:
    palette = (Path(search.templates.__file__).parent / "palette.css").read_text()
    light = palette.partition("@media")[0]
    assert re.search(rf"--{name}: (#\w+);", light)[1] == COLOURS[name]  # type: ignore[index]


def test_curves_in_words_have_accuracies_in_percent() -> None:
    assert describe_history(HISTORY, "accuracy", 2).endswith(
        "validation 60.0 % in epoch 1, 85.0 % in epoch 2"
    )
    assert describe_history(HISTORY, "loss", 2).startswith("training 1.5000 in epoch 1, 0.5000 in epoch 2")


def test_training_of_one_epoch_is_points_with_their_figures() -> None:
    axes = Figure().subplots()
    history = {name: values[:1] for name, values in HISTORY.items()}
    plot_history(axes, history, "accuracy", 1, COLOURS)
    low, high = axes.get_xlim()
    assert [text.get_text() for text in axes.texts] == ["50.0 %", "60.0 %"]
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]
    assert (
        describe_history(history, "accuracy", 1) == "training 50.0 % in epoch 1; validation 60.0 % in epoch 1"
    )


def test_curve_of_one_point_is_a_dot_that_can_be_seen() -> None:
    axes = Figure().subplots()
    plot_curves(axes, [[(1, 0.5)], [(1, 0.5), (2, 0.6)]], "#000000", 0.8, 1.0, "pruned")
    assert [patch.get_linewidth() for patch in axes.patches] == [0.8, DOT]
