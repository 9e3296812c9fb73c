"""Commands that are printed can be typed where the user stands, in an activated environment or outside one."""

import logging
import re
import sys
from pathlib import Path

import pytest

from search.config.interpreter import as_typed_here
from search.tracking.tensorboard import TensorBoard

ASKED = "no such file; run python -m search.prefetch --backbone x once"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a virtual environment, below the folder where the user stands, whose Python runs this."""
    (tmp_path / "system").write_text("")
    folder = tmp_path / "project" / ".venv" / "bin"
    for place in (folder, tmp_path / "bin"):
        place.mkdir(parents=True)
        for name in ("python", "python3"):
            (place / name).symlink_to(tmp_path / "system")
    (tmp_path / "system").chmod(0o755)
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return folder


def test_python_is_named_by_its_path_outside_its_environment(environment: Path) -> None:
    assert as_typed_here(ASKED) == ASKED.replace("python", ".venv/bin/python")


def test_python_is_named_by_its_word_inside_its_environment(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{environment}:{environment.parents[2] / 'bin'}")
    assert as_typed_here(ASKED) == ASKED
    (environment / "python").unlink()
    monkeypatch.setattr(sys, "executable", str(environment / "python3"))
    assert as_typed_here(ASKED) == ASKED.replace("python", "python3")


def test_python_that_lies_elsewhere_is_named_by_its_whole_path(
    environment: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "my data").mkdir()
    monkeypatch.chdir(tmp_path / "my data")
    assert as_typed_here(ASKED) == ASKED.replace("python", str(environment / "python"))


def test_command_of_tensorboard_is_typed_here_too(environment: Path) -> None:
    look = TensorBoard(Path("my studies")).look
    assert as_typed_here(look) == ".venv/bin/python -m tensorboard.main --logdir 'my studies'"


def test_other_words_and_commands_stay(environment: Path) -> None:
    for text in (
        "my-python -m search.run",
        "python my.py",
        "/usr/bin/python -m search.run",
        "no python here",
    ):
        assert as_typed_here(text) == text
    once = as_typed_here(ASKED)
    assert as_typed_here(once) == once


def test_lines_and_errors_of_a_command_are_typed_here(
    environment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from search.cli.app import _say_error
    from search.cli.verbosity import print_result

    logging.getLogger("search.anything").info("go on with: python -m search.run")
    print_result("run python -m pip install 'keras-image-search[ray]'")
    _say_error("run python -m search.run")
    shown = capsys.readouterr()
    assert (shown.out + shown.err).count(".venv/bin/python -m ") == 3


def test_what_is_to_be_installed_is_named_in_one_way_everywhere() -> None:
    root = Path(__file__).parents[3]
    files = [*(file for folder in ("search", "storage", "spaces") for file in (root / folder).rglob("*.py"))]
    for file in [*files, *(root / "docs").glob("*.md"), root / "README.md"]:
        text = file.read_text("utf-8")
        assert not re.search(r"(?<!python -m )\bpip install", text), (
            f"{file.name}: expected python -m pip install"
        )
        assert not re.search(r"pip install '?\.\[", text), (
            f"{file.name}: expected 'keras-image-search[extra]'"
        )
