"""What bounds a search, and what of its end an earlier command has done already."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.config.settings import RunOptions
from search.execution.worker import Worker
from search.study.ending import Ending
from search.web.notes import read_note
from search.web.study_page import EXPORTED
from search.workflows import run
from search.workflows.run import _bound


def test_time_that_went_into_preparing_is_said_to_have() -> None:
    """Backbones were compared for longer than ``--timeout``, and the search ended before it began without a reason."""
    study: Any = None
    options = RunOptions.given("s", data="digits", timeout=40)
    late = _bound(study, options, time.monotonic() - 70, Ending())
    assert late.requested
    assert late.reason == "the time is up (--timeout): to prepare the search took 1 min 10 s"
    assert not _bound(study, options, time.monotonic(), Ending()).requested


def test_export_that_is_there_is_shown_on_the_dashboard(
    make_worker: Callable[..., Worker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that was killed after it had placed the export left it out of the study's note for good."""
    study = make_worker().study
    for name in EXPORTED:
        (tmp_path / name).touch()
    summary = {"trial": 0, "words": ["It gets nine of ten right."]}
    found = SimpleNamespace(folder=tmp_path, summary=summary, report="macro avg 0.9")
    monkeypatch.setattr(run, "earlier_export", lambda *_: found)
    run._export_there(study, RunOptions.given("small", root=study.paths.root), tmp_path)
    assert "It gets nine of ten right." in read_note(study.storage, study.study_id)
