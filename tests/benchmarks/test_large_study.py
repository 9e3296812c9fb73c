import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="pip install '.[test]'")
import large_study

from search.config.settings import RunOptions
from search.engines.resources import ResourceSlot
from search.execution.stop_requests import Stop
from search.process.fork_server import ForkServer
from search.study.opening import open_study
from search.study.study import LoadedStudy
from search.workflows.searching import search

TRIALS = 7


@pytest.fixture(scope="module")
def study(fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> LoadedStudy:
    """One trial that was really trained, and six made up after it."""
    opened = open_study(
        RunOptions.given(
            "large", data="digits", trials=1, epochs=2, images=100, pruner="none",
            root=tmp_path_factory.mktemp("large") / "studies",
        )
    )  # fmt: skip
    search(opened, fork_server, [ResourceSlot(threads=1)], Stop())
    assert large_study.add_trials(opened, TRIALS - 1) == TRIALS
    return opened


def test_made_up_trials_are_finished_and_have_what_real_ones_have(study: LoadedStudy) -> None:
    real, *others = study.optuna.get_trials(deepcopy=False)
    assert [trial.state.name for trial in others] == ["PRUNED", "PRUNED", "COMPLETE"] * 2
    for trial in others:
        assert set(real.user_attrs) <= set(trial.user_attrs)
        assert len(trial.intermediate_values) == len(trial.user_attrs["history"]["val_accuracy"])


def test_page_report_and_status_of_the_study_are_timed(study: LoadedStudy, tmp_path: Path) -> None:
    if not Path(large_study.CHROMIUM).exists():
        why = f"{large_study.CHROMIUM} is missing: apt-get install chromium"
        pytest.fail(why) if os.environ.get("CI") == "true" else pytest.skip(why)
    report = tmp_path / "report.html"
    with ThreadPoolExecutor(1) as thread:  # The tests' own browser keeps an event loop in this one.
        seconds = thread.submit(large_study.measure, study, TRIALS, 1, ["--out", str(report)]).result()
    assert {name: len(took) for name, took in seconds.items()} == dict.fromkeys(
        ("script", "dashboard", "list", "report", "status"), 1
    )
    ((script,), (dashboard,), (trials,)) = (seconds[name] for name in ("script", "dashboard", "list"))
    assert 0 < script <= dashboard <= trials
    # Python alone starts in a few hundredths of a second, and both read a database.
    assert min(*seconds["report"], *seconds["status"]) > 0.1
    assert f"{TRIALS} trials" in report.read_text("utf-8")
