"""What is typed, taken apart."""

from pathlib import Path

import pytest
import typer

from search.cli.parsing import place, required_place


def test_empty_path_is_refused_where_there_is_no_default() -> None:
    """``Path("")`` is the current folder: a shell variable that is not set would have it classified."""
    assert required_place(".") == Path()
    with pytest.raises(typer.BadParameter, match="an empty text is no path; expected a file or a folder"):
        required_place("")


def test_path_begins_in_the_home_folder_which_a_shell_leaves_to_the_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``--studies=~/x`` made a folder called ``~``."""
    monkeypatch.setenv("HOME", "/home/me")
    assert place("~/x") == required_place("~/x") == Path("/home/me/x")
    with pytest.raises(typer.BadParameter, match=r"^~nobodyx/x: ~nobodyx is the home of no user"):
        place("~nobodyx/x")
