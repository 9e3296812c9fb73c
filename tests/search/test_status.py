"""How a study stands, from any terminal: who works on it, and no trial left RUNNING by a worker that is gone."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from search.command import main
from search.engines.seat import worker_name
from search.snapshot import look
from search.status import app, study_status
from search.study import LoadedStudy
from storage.claims import INTERRUPTIONS, LIFE, Claim, Claims

Status = Callable[..., tuple[int, str, str]]


@pytest.fixture
def status(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Status:
    """Run the command: its exit code, and what it printed and complained of."""
    monkeypatch.setenv("COLUMNS", "160")
    # Optuna's handler holds the standard error of whichever test came first, closed by now.
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(app, list(map(str, arguments)))
        printed = capsys.readouterr()
        return int(str(end.value.code)), printed.out, printed.err

    return run


def where(study: LoadedStudy) -> tuple[str, ...]:
    return "--study", "s", "--storage", study.url, "--studies", str(study.paths.root)


def claim_for(study: LoadedStudy, worker: str) -> Claim:
    claim = Claims(study.storage, study.study_id, worker).claim(study.wanted)
    assert claim is not None
    return claim


def rewrite(study: LoadedStudy, claim: Claim, **facts: object) -> None:
    """Make a sign of life another's."""
    life = study.storage.get_trial(claim.trial_id).system_attrs[LIFE]
    study.storage.set_trial_system_attr(claim.trial_id, LIFE, {**life, **facts})


def dead_process() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_table_shows_each_worker_with_its_device_trial_and_epoch(open_digits, status: Status) -> None:
    study = open_digits(trials=5, epochs=12)
    claim_for(study, worker_name()).beat(
        epoch=3, epochs=12, device="GPU:0", value=0.625, images_per_second=1234.0
    )
    claim_for(study, "elsewhere-77").beat(epoch=1, epochs=12, device="CPU")
    code, printed, _ = status(*where(study))
    rows = [line.split() for line in printed.splitlines()]
    assert code == 0
    assert printed.startswith("s: 0 of 5 (0 finished, 0 pruned), 0 failed\n")
    assert rows[2][:5] == ["worker", "device", "trial", "epoch", "accuracy"]
    assert worker_name().endswith(f"-{os.getpid()}")
    assert rows[3][:6] == [worker_name(), "GPU:0", "0", "3/12", "0.6250", "1,234"]
    assert rows[4][:4] == ["elsewhere-77", "CPU", "1", "1/12"]
    assert rows[3][-1] == rows[4][-1] == "ago"


def test_trial_of_a_dead_local_process_is_given_back_at_once(open_digits, status: Status) -> None:
    study = open_digits(trials=5)
    claim = claim_for(study, "here-1")
    rewrite(study, claim, pid=dead_process())
    code, printed, _ = status(*where(study))
    assert (code, printed.splitlines()[0]) == (0, "s: 0 of 5 (0 finished, 0 pruned), 0 failed, 1 waiting")
    trial = study.storage.get_trial(claim.trial_id)
    assert trial.state == TrialState.WAITING
    assert trial.system_attrs[INTERRUPTIONS] == 1


def test_trial_of_another_host_is_left_to_its_worker(open_digits, status: Status) -> None:
    study = open_digits(trials=5)
    claim = claim_for(study, "there-1")
    rewrite(study, claim, pid=dead_process(), place="another machine", host="there")
    assert status(*where(study))[0] == 0
    assert study.storage.get_trial(claim.trial_id).state == TrialState.RUNNING


def test_status_takes_no_trial_and_starts_none(open_digits) -> None:
    study = open_digits(trials=5)
    before = study.optuna.trials
    study_status("s", storage=study.url, root=study.paths.root)
    assert study.optuna.trials == before


def test_function_gives_what_the_command_shows(open_digits) -> None:
    study = open_digits(trials=5)
    rewrite(study, claim_for(study, "here-1"), pid=dead_process())
    claim_for(study, worker_name())  # Takes the trial that the dead one left.
    snapshot = study_status("s", storage=study.url, root=study.paths.root)
    assert (snapshot.study, snapshot.wanted, snapshot.waiting) == ("s", 5, 0)
    assert [trial.worker for trial in snapshot.running] == [worker_name()]
    assert snapshot.running[0].silent is not None
    assert 0 <= snapshot.running[0].silent < 60


def test_look_sees_a_larger_number_of_trials(open_digits) -> None:
    study = open_digits(trials=5)
    study.want(9)
    assert look(study).wanted == 9


def test_unknown_study_is_refused_in_one_line(open_digits, status: Status) -> None:
    study = open_digits()
    code, printed, error = status("--study", "t", *where(study)[2:])
    assert (code, printed, error.count("\n")) == (2, "", 1)
    assert error.startswith("error: --study t: no such study in the database given")


@pytest.mark.parametrize(
    "url", ["postgresql://me:sesame@/studies?host=/no/such/place", "sqlite:////no/such/place/search.db"]
)
def test_database_that_is_away_is_told_in_one_line(status: Status, url: str, tmp_path: Path) -> None:
    code, printed, error = status("--study", "s", "--storage", url, "--studies", tmp_path)
    assert (code, printed, error.count("\n")) == (2, "", 1)
    assert error.startswith("error: --storage ")
    assert "sesame" not in error


def test_looking_creates_nothing(status: Status, tmp_path: Path) -> None:
    assert status("--study", "s", "--studies", tmp_path / "studies")[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_help_says_what_is_shown_with_an_example(status: Status) -> None:
    code, printed, _ = status("--help")
    words = " ".join(printed.split())
    assert code == 0
    assert "last sign of life, speed" in words
    assert "python -m search.status --study cifar_cnn --storage postgresql://" in words


def test_json_is_the_same_truth_as_the_screen(open_digits, status: Status) -> None:
    study: LoadedStudy = open_digits(trials=3)
    study.optuna.add_trial(optuna.trial.create_trial(value=0.5, user_attrs={"epochs": 1, "seconds": 2.0}))
    claim_for(study, worker_name())
    code, out, err = status(*where(study), "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)
    said = json.loads(out)
    assert (said["state"], said["wanted"], said["finished"], said["failed"]) == ("running", 3, 1, 0)
    assert said["best"]["value"] == 0.5
    assert [one["worker"] for one in said["running"]] == [worker_name()]
    assert said["ended"][0]["seconds"] == 2.0


def test_json_and_watch_together_are_refused(open_digits, status: Status) -> None:
    code, _, err = status(*where(open_digits()), "--json", "--watch")
    assert code == 2
    assert "--json is one look and --watch is many" in err
