import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from search.hidden_modules import hidden_modules

ROOT = Path(__file__).parents[2]
ADVICE = "or start in another folder\n"


def called(place: Path, *words: str) -> tuple[int, str]:
    """What Python answers to the words in a folder: its exit code, and what stands on standard error."""
    ended = subprocess.run(
        [sys.executable, *words],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("name", ["http", "queue", "typing", "logging"])
def test_command_in_a_folder_that_hides_a_module_is_refused_before_all_else(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')\n")
    refused = f"error: ./{name}.py hides Python's own module {name}: rename it, {ADVICE}"
    assert called(tmp_path, "-m", "search.predict", "--help") == (2, refused)


def test_command_in_a_folder_that_hides_two_modules_names_both(tmp_path: Path) -> None:
    (tmp_path / "queue.py").touch()
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "__init__.py").touch()
    code, said = called(tmp_path, "-m", "search", "--help")
    places = "./json/__init__.py and ./queue.py"
    assert said == f"error: {places} hide Python's own modules json and queue: rename them, {ADVICE}"
    assert code == 2


def test_command_that_does_not_look_in_the_folder_is_not_refused(tmp_path: Path) -> None:
    (tmp_path / "http.py").write_text("raise SystemExit('imported')\n")
    assert called(tmp_path, "-P", "-m", "search.predict", "--help") == (0, "")
    script = tmp_path / "bin" / "program"  # As the console script: its own folder is on the path.
    script.parent.mkdir()
    script.write_text("from search.cli.program import run_program\nimport http.client\nrun_program()\n")
    assert called(tmp_path, str(script), "--help") == (0, "")


def test_library_in_a_folder_that_hides_a_module_is_not_refused(tmp_path: Path) -> None:
    (tmp_path / "calendar.py").touch()
    (tmp_path / "train.py").write_text("import search\n")
    assert called(tmp_path, "-m", "train") == (0, "")


def test_folder_without_a_module_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("email", "code", "test"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").touch()
    # Of the first two the interpreter has its own inside, whatever lies here; the third hides what nobody imports.
    for name in ("time.py", "os.py", "test.py"):
        (tmp_path / name).touch()
    (tmp_path / "http.txt").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert hidden_modules() == {}


def test_folder_that_is_gone_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    assert hidden_modules() == {}


def test_processes_that_are_started_here_have_no_current_folder_before_the_path() -> None:
    for path in (ROOT / "search").rglob("*.py"):
        assert not re.search(r'sys\.executable,\s*"-m"', path.read_text("utf-8")), path
