import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import overhead
import pytest

import search.execution.trial
from search.process.child import Child

TRIALS, EPOCHS = 2, 3


@pytest.fixture(scope="module")
def found(lend_server: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("overhead")
    with lend_server(overhead):
        overhead.main(["--trials", str(TRIALS), "--epochs", str(EPOCHS), "--out", str(out)])
    return json.loads(Path(out / "overhead.json").read_text())


@pytest.fixture
def rows(found: dict[str, Any]) -> list[dict[str, float]]:
    return found["all"]


def test_every_trial_is_counted_once(found: dict[str, Any]) -> None:
    assert found["trials_counted"] == len(found["all"]) == TRIALS


def test_parts_add_up_to_the_overhead(rows: list[dict[str, float]]) -> None:
    for row in rows:
        assert sum(row[part] for part in overhead.PARTS) == pytest.approx(row["overhead"])
        assert row["but_for_tracing"] == pytest.approx(row["overhead"] - row["tracing"])


def test_no_part_takes_less_than_nothing(rows: list[dict[str, float]]) -> None:
    for row in rows:
        assert all(row[part] > 0 for part in overhead.PARTS if part != "unsteady")
        # The net is built and traced in the first epoch, which takes longer than any later one.
        assert row["tracing"] > row["build"] > 0
        assert row["steady"] > 0


def test_summary_is_of_all_trials(found: dict[str, Any], rows: list[dict[str, float]]) -> None:
    claim = found["seconds"]["claim"]
    assert claim["largest"] == max(row["claim"] for row in rows)
    assert claim["mean"] == pytest.approx(sum(row["claim"] for row in rows) / TRIALS)


def test_worker_is_as_it_was_afterwards(found: dict[str, Any]) -> None:
    assert Child.receive.__module__ == "search.process.child"
    assert search.execution.trial.feed_trial.__module__ == "search.web.trial_page"
