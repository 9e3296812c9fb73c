"""What importing the package brings: its functions, and a way to show what it says."""

import logging

import pytest

import search
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


def test_functions_for_notebooks_are_listed() -> None:
    assert {"run_study", "export_study", "predict_images", "prepare"} <= set(dir(search))
