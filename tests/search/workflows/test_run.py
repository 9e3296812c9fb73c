"""What bounds a search, and what of its end an earlier command has done already."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.config.settings import RunOptions
from search.execution.kept_time import Rates
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


@pytest.mark.parametrize(
    ("folds", "asked", "made"), [(0, {}, False), (0, {"refit": True}, True), (2, {}, True)]
)
def test_final_training_without_time_is_made_all_the_same_in_folds_and_where_it_is_asked_for(
    folds: int, asked: dict[str, Any], made: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/search.md says so of the lateness of a very short search."""
    called: list[Any] = []
    monkeypatch.setattr(run, "make_export", lambda *arguments: called.extend(arguments))
    config = SimpleNamespace(
        length=20e12, folds=folds, final=100e12, final_epochs=20.0, training_images=10_000
    )
    study: Any = SimpleNamespace(config=config, prepared=None, command=lambda *_: "")
    pace: Any = SimpleNamespace(rates=lambda: Rates(1e-12, 1e-12), left=lambda: -5.0)
    options = RunOptions.given("s", data="digits", timeout=30, **asked)
    run._export(study, options, pace, Ending(final=100e12), None, lambda: None)
    wanted, _, _, remark, _ = called
    assert wanted.refit == made
    assert bool(remark) != made
