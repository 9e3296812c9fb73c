"""What is typed, taken apart."""

from pathlib import Path

import pytest
import typer

from search.cli.parsing import required_place


def test_empty_path_is_refused_where_there_is_no_default() -> None:
    """``Path("")`` is the current folder: a shell variable that is not set would have it classified."""
    assert required_place(".") == Path()
    with pytest.raises(typer.BadParameter, match="an empty text is no path; expected a file or a folder"):
        required_place("")
