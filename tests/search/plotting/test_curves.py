"""Learning curves, drawn by two routes: as a picture, and in the colours of a page."""

import re
from pathlib import Path

import pytest

import search.templates
from search.plotting.curves import COLOURS, describe_history

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
