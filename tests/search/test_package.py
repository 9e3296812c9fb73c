"""What importing the package brings: its functions, and a way to show what it says."""

import logging
from pathlib import Path
from typing import Any

import pytest

import search
from search.errors import InputError
from search.execution.pruning import make_pruner


def test_what_the_program_says_is_a_plain_line_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("search.study.sweep_cells").info("left out: %s", "filters=64")
    logging.getLogger("storage.artifacts").warning("artifact %s not removed", "a")
    logging.getLogger("search.study.sweep_cells").debug("not for people")
    assert capsys.readouterr().out == "left out: filters=64\nwarning: artifact a not removed\n"


def test_face_of_a_room_gives_what_it_offers_and_says_what_else_there_is() -> None:
    from search import execution

    assert execution.make_pruner is make_pruner
    with pytest.raises(
        AttributeError, match=r"'search\.execution' has no attribute 'prune'; it offers .*make_pruner"
    ):
        _ = execution.prune


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("run_study", {"study": "s", "epochs": 0}, "^epochs=0: expected a number from 1 to 10000$"),
        ("run_study", {"study": "s", "epochs": "3"}, "^epochs='3': expected a whole number$"),
        ("run_study", {"study": 3}, "^study=3: expected a text$"),
        ("run_study", {"study": "s", "refit": True, "export": False}, "^refit=True makes .* export=False"),
        ("export_study", {"study": "s", "root": "no"}, "^study='s': no such study in no; .*root or storage"),
        ("prepare", {"data": "/nowhere"}, "^data='/nowhere': no such data set"),
        ("prepare", {"data": "digits", "image_size": 2}, "^image_size=2: expected a number from 4"),
        (
            "predict_images",
            {"model": Path("nowhere"), "images": ["a.png"]},
            "^model='nowhere': no such folder",
        ),
    ],
)
def test_refusals_of_functions_speak_of_their_arguments(name: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        getattr(search, name)(**given)
    assert "--" not in str(refused.value)


def test_functions_for_notebooks_are_listed() -> None:
    assert {"run_study", "export_study", "predict_images", "prepare"} <= set(dir(search))
