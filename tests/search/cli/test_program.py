"""All commands: what they have in common, and their completion in a real shell."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from search.cli.program import COMMANDS, commands, studies_here
from search.config.settings import RunOptions
from search.data import Dataset
from search.study.opening import open_study
from search.study.study import LoadedStudy

ROOT = Path(__file__).parents[3]
IN_PROGRAM = "import sys; sys.argv[0] = 'keras-image-search'; from search.cli.program import run_program; run_program()"
ESCAPE = "\x1b["


def start(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=environment.pop("cwd", ROOT),
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def tiny(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> LoadedStudy:
    """The study ``tiny``, in which nothing has been tried."""
    root = tmp_path_factory.mktemp("program") / "studies"
    return open_study(
        RunOptions.given("tiny", data="digits", space="cnn", root=root, cache=digits.folder.parent)
    )


def test_program_has_every_command() -> None:
    files = (ROOT / "search").glob("*.py")
    assert set(COMMANDS) == {path.stem for path in files if "\n    main(app)" in path.read_text("utf-8")}


def test_package_that_is_run_is_the_program() -> None:
    shown = start("-m", "search", "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("Usage: python -m search [OPTIONS] COMMAND")
    assert all(f"\n  {command} " in shown.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", commands())
def test_help_has_an_example_and_the_common_flags(helps, command: str) -> None:
    shown = helps[command]
    assert (shown.code, shown.err) == (0, "")
    assert f"python -m search.{command} --" in shown.out.rpartition("Example:")[2]
    assert "--quiet" in shown.out
    assert "--verbose" in shown.out
    assert ESCAPE not in shown.out


@pytest.fixture(scope="module")
def refusals(answers) -> dict[str, Any]:
    """What every command answers to a flag that none of them has."""
    return dict(zip(COMMANDS, answers([[command, "--no-such-flag"] for command in COMMANDS]), strict=True))


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_flag_is_one_line(refusals, command: str) -> None:
    refused = refusals[command]
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert refused.err.startswith("error: ")
    assert ESCAPE not in refused.err


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_output_that_is_no_terminals_has_no_colour(tiny: LoadedStudy, environment: dict[str, str]) -> None:
    place = ("--studies", str(tiny.paths.root))
    for arguments in (("search.status", "--study", "tiny", *place), ("search.studies", *place)):
        shown = start("-m", *arguments, **environment)
        assert shown.returncode == 0
        assert "tiny" in shown.stdout
        assert ESCAPE not in shown.stdout


def test_reader_that_has_seen_enough_is_no_fault(tiny: LoadedStudy) -> None:
    line = f"{sys.executable} -m search.studies --studies {tiny.paths.root} | true; echo ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.stdout.strip() == "1"
    assert ended.stderr == ""


def completed(words: str, place: Path) -> list[str]:
    """What bash would offer for the last word, by the script that the program gives it."""
    (place / "keras-image-search").write_text(f"#!{sys.executable}\n{IN_PROGRAM}\n")
    (place / "keras-image-search").chmod(0o755)
    script = (
        'eval "$(_KERAS_IMAGE_SEARCH_COMPLETE=source_bash keras-image-search)"; '
        f"COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
        '_keras_image_search_completion keras-image-search; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{place}{os.pathsep}{os.environ['PATH']}"
    shell = subprocess.run(
        ["bash", "-c", script],
        cwd=place,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert shell.stderr == ""
    return shell.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("keras-image-search stu", ["studies"]),
        ("keras-image-search run --sampler ra", ["random"]),
        ("keras-image-search run --study cifar_t", ["cifar_transfer"]),
    ],
)
def test_bash_completes(tmp_path: Path, words: str, offered: list[str]) -> None:
    assert completed(words, tmp_path) == offered


def test_studies_of_this_folder_are_completed(
    tiny: LoadedStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "studies").symlink_to(tiny.paths.root)
    monkeypatch.chdir(tmp_path)
    assert studies_here("tin") == ["tiny"]


def test_database_that_cannot_be_read_completes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "search.db").write_text("no database")
    monkeypatch.chdir(tmp_path)
    assert studies_here("digits") == ["digits_cnn"]
