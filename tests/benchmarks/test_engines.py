import json
from datetime import datetime
from pathlib import Path
from typing import Any

import engines
import optuna
import pytest
from optuna.trial import FrozenTrial

from search.study.fold_results import SPENT
from storage.claims import ENDED

TRIALS, WORKERS, SECONDS = 2, 1, 0.5


@pytest.fixture(scope="module")
def found(postgres: object, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A small run of what is installed everywhere, which trains in NumPy throughout."""
    out = tmp_path_factory.mktemp("engines")
    small = ["--trials", str(TRIALS), "--workers", str(WORKERS), "--trial-seconds", str(SECONDS)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEARCH_TEST_TRAINING", "numpy")
        patch.setitem(engines.MISSING, "slurm", lambda: "not asked for")
        engines.main(["--engines", "local", "slurm", *small, "--out", str(out)])
    return json.loads((out / "engines.json").read_text())


@pytest.mark.slow
def test_marks_of_a_first_epoch_come_in_order(found: dict[str, Any]) -> None:
    (row,) = found["first_epoch_seconds"]
    assert row["engine"] == "local"
    times = [row[mark] for mark in (*engines.MARKS, "end")]
    assert times == sorted(times)
    assert times[0] > 0


@pytest.mark.slow
def test_engine_that_is_missing_is_left_out_with_the_reason(found: dict[str, Any]) -> None:
    assert found["left_out"] == {"slurm": "not asked for"}


@pytest.mark.slow
def test_workers_of_sleeping_trials_are_idle_and_untrained_for_a_part_of_their_time(
    found: dict[str, Any],
) -> None:
    idle = found["idle"]
    assert idle["trials"] == TRIALS
    # All of them were trained by so many workers at most.
    assert idle["seconds"] >= TRIALS * SECONDS / WORKERS
    assert 0 <= idle["without_a_trial"] < idle["not_training"] < 1


def trial(begin: float, end: float, training: float) -> FrozenTrial:
    made = optuna.trial.create_trial(
        value=0.5, system_attrs={ENDED: end}, user_attrs={SPENT: {"training": training}}
    )
    made.datetime_start = datetime.fromtimestamp(begin)
    return made


def test_share_without_a_trial_is_that_of_all_workers_from_first_claim_to_last_end() -> None:
    shares = engines.shares([trial(100, 110, 9), trial(100, 108, 8), trial(111, 120, 9)], 2)
    assert shares["seconds"] == 20
    assert shares["without_a_trial"] == pytest.approx(1 - 27 / 40)
    assert shares["not_training"] == pytest.approx(1 - 26 / 40)


def test_command_that_fails_is_told_with_what_it_printed(tmp_path: Path) -> None:
    failed = pytest.raises(RuntimeError, match=r"(?s)ended with 2: .*--nonsense")
    with failed, engines.command(tmp_path, "sqlite:///s.db", {}, "--nonsense"):
        pass
