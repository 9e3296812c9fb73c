"""What engines say of workers that have ended."""

from pathlib import Path

import pytest

from search.engines.base import last_error


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one\nerror: no such study\n", "error: no such study"),
        ("slurmstepd: error: *** JOB 7 CANCELLED ***\n", "slurmstepd: error: *** JOB 7 CANCELLED ***"),
        ("2026-11-30 14:00:00,123 INFO trial 3 begins\n", ""),
        (
            "Traceback\nModuleNotFoundError: No module named 'keras'\n",
            "ModuleNotFoundError: No module named 'keras'",
        ),
        ("python: No module named search.worker\n", "python: No module named search.worker"),
        (
            "bash: line 1: python: No such file or directory",
            "bash: line 1: python: No such file or directory",
        ),
        (
            "2026-11-30 14:00:00 the worker has died 5 times",
            "2026-11-30 14:00:00 the worker has died 5 times",
        ),
        ("", ""),
    ],
)
def test_last_error_of_a_killed_worker_is_no_line_of_its_log(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "log").write_text(text)
    assert last_error(tmp_path / "log") == said


def test_last_error_without_a_log_is_empty(tmp_path: Path) -> None:
    assert last_error(tmp_path / "none") == ""
