import json
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from search.command import main
from search.errors import InputError
from search.studies import Listed, app, list_studies
from search.study import LoadedStudy


def found(study: LoadedStudy) -> dict[str, Listed]:
    return {one.study: one for one in list_studies(storage=study.url, root=study.paths.root)}


@pytest.fixture
def study(open_digits: Callable[..., LoadedStudy]) -> LoadedStudy:
    return open_digits(trials=3)


def test_new_study_is_listed(study: LoadedStudy) -> None:
    assert found(study) == {"s": Listed("s", "new", 0, 3, 0, 0, None, "accuracy", "digits")}


def test_study_with_trials_is_listed_with_its_best(study: LoadedStudy) -> None:
    for value in (0.5, 0.75):
        study.optuna.add_trial(optuna.trial.create_trial(value=value))
    study.optuna.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
    one = found(study)["s"]
    assert (one.state, one.finished, one.failed, one.best) == ("unfinished", 2, 1, 0.75)
    study.want(2)
    assert found(study)["s"].state == "done"


def test_study_at_work_is_running(study: LoadedStudy) -> None:
    study.optuna.ask()
    one = found(study)["s"]
    assert (one.state, one.running) == ("running", 1)


def test_study_of_another_program_is_listed_as_such(study: LoadedStudy) -> None:
    theirs = optuna.create_study(
        study_name="theirs", directions=["minimize", "maximize"], storage=study.storage
    )
    theirs.add_trial(optuna.trial.create_trial(values=[1.0, 2.0]))
    assert found(study)["theirs"] == Listed("theirs", "not ours", 1, None, 0, 0, None, "", "")


def test_place_without_a_database_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no studies yet: .* begin one with python -m search.run"):
        list_studies(root=tmp_path / "studies")
    assert not (tmp_path / "studies").exists()


def test_command_prints_a_table_or_json(study: LoadedStudy, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ((), ("--json",)):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(app, ["--storage", study.url, "--studies", str(study.paths.root), *more])
        assert end.value.code == 0
        printed = capsys.readouterr().out
        assert ("0 of 3" in printed) is not bool(more)
    (one,) = json.loads(printed)
    assert (one["study"], one["wanted"], one["best"]) == ("s", 3, None)
