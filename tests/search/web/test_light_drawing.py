"""The job that draws next to nothing in tests leaves those that the real one draws."""

import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from search.data import Dataset
from search.web import drawing

sys.path.append(str(Path(__file__).parents[1] / "in_child"))
import light_drawing

HISTORY = {"loss": [1.0], "accuracy": [0.5], "val_loss": [1.0], "val_accuracy": [0.5]}
OF_TRIAL = {"history": HISTORY, "kept": 1, "unit": "epoch", "title": "a trial", "classes": ["a", "b"]}


class Heard:
    """A channel that keeps what was sent."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def send(self, message: dict[str, Any]) -> None:
        self.messages.append(message)


@pytest.mark.parametrize("wanted", ["curves", "curves and matrix", "samples"])
def test_light_pictures_are_those_that_would_be_drawn(wanted: str, digits: Dataset, tmp_path: Path) -> None:
    payload = {
        "curves": {**OF_TRIAL, "matrix": ()},
        "curves and matrix": {**OF_TRIAL, "matrix": [[1, 0], [0, 1]]},
        "samples": {
            "dataset": str(digits.folder), "classes": digits.classes, "validation": 0.0, "images": None, "seed": 0,
        },
    }[wanted]  # fmt: skip
    heard = {}
    for job in (drawing, light_drawing):
        folder = tmp_path / job.__name__
        folder.mkdir()
        heard[job] = Heard()
        job.draw({"folder": str(folder), **payload}, heard[job])
        names = heard[job].messages[-1]["files"]
        assert sorted(path.name for path in folder.iterdir()) == sorted(names)
        for name in names:
            with Image.open(folder / name) as picture:
                assert picture.format == "PNG"
    assert heard[light_drawing].messages == heard[drawing].messages
