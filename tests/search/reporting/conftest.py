"""Made-up studies, and reports of them."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from search.config.study_config import StudyConfig
from search.data import Dataset
from search.reporting.report import report_study
from search.study.finding import create_study
from search.study.study import LoadedStudy
from storage.ledger import record_scoring

ODD = "<script>alert(1)</script> & \"quoted\" 'names' </style> $x_1$ | ünï"
DISTRIBUTIONS = {"filters": IntDistribution(8, 64, log=True), "dropout": FloatDistribution(0.0, 0.5)}
STATES = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
NewStudy = Callable[..., LoadedStudy]


def make_trial(config: StudyConfig, number: int, state: str, **said: Any) -> FrozenTrial:
    """A trial with all that a worker notes of one."""
    chance = random.Random(number)
    params = {"filters": chance.randint(8, 64), "dropout": chance.random() / 2}
    epochs = {"finished": 4, "pruned": 2, "failed": 1}[state]
    top = 0.95 - 0.2 * params["dropout"] + 0.02 * chance.random()
    curve = [top - 0.3 / (epoch + 1) for epoch in range(epochs)]
    history = {
        "loss": [1 - value for value in curve],
        "accuracy": curve,
        "val_loss": [1.1 - value for value in curve],
        "val_accuracy": curve,
        "val_macro_f1": curve,
        "seconds": [1.0] * epochs,
    }
    attributes = {
        "params": params, "parameters": 100 * params["filters"], "flops": 1000 * params["filters"], "seed": number,
        "milliseconds": 0.01 * params["filters"], "validation_images": 144, "worker": "here-1", "threads": 1,
        "batch_size": 64, "device": "cpu", "training_images": 300, "history": history, "epochs": epochs,
        "kept_epoch": epochs, "compute": 1e9, "seconds": 1.0 * epochs, "backend": "tensorflow",
        "versions": {"python": "3.11.0", "keras": "3.15.0"}, "reason": "" if state == "finished" else f"{state} here",
        "spent": {"waiting": 0.1, "sampling": 0.1, "starting": 0.5, "training": 1.0 * epochs, "storing": 0.2},
    }  # fmt: skip
    return optuna.trial.create_trial(
        state=STATES[state],
        value=curve[-1] if state != "failed" else None,
        params=params,
        distributions=DISTRIBUTIONS,
        user_attrs={**attributes, **said},
        intermediate_values=dict(enumerate(curve, start=1)),
    )


@pytest.fixture(scope="session")
def new_study(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> NewStudy:
    """Make a study of digits with trials in the given states, or with trials ready made; settings are its config's."""

    def make(
        states: Sequence[str] = (),
        trials: Sequence[FrozenTrial] = (),
        dataset: Dataset = digits,
        said: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> LoadedStudy:
        of_data = ("fingerprint", "classes", "height", "width", "channels")
        seen = {name: getattr(dataset, name) for name in of_data}
        config = StudyConfig("made", **{"data": "digits", "flip": False, "epochs": 4, **seen, **settings})
        root = tmp_path_factory.mktemp("studies")
        made = create_study(config, dataset.folder, None, root, trials=len(states))
        assert made is not None
        ended = [make_trial(config, number, state, **(said or {})) for number, state in enumerate(states)]
        made.optuna.add_trials([*ended, *trials])
        return made

    return make


@pytest.fixture(scope="session")
def exported(new_study: NewStudy, export_of: Callable[..., Path]) -> Path:
    """An export of trial 0 of any study ``made`` of digits; not to be written to."""
    folder = export_of(new_study(["finished"]))
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    del summary["study_uid"]  # As older versions wrote it: with it, it is of that one study.
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def odd_study(new_study: NewStudy) -> LoadedStudy:
    """A study whose names, all that may come from outside, would like to be markup."""
    classes = tuple(f"{ODD} {number}" for number in range(10))
    study = new_study(["finished"] * 30 + ["pruned"] * 8 + ["failed"], classes=classes, data=f"/data/{ODD}")
    distributions = {ODD: CategoricalDistribution((f"{ODD} 1", f"{ODD} 2"))}
    for number in range(6):
        study.optuna.add_trial(
            optuna.trial.create_trial(
                value=0.1 * number,
                params={ODD: f"{ODD} {1 + number % 2}"},
                distributions=distributions,
                user_attrs={"device": ODD, "worker": ODD},
            )
        )
    failed = {"reason": ODD, "worker": ODD}
    study.optuna.add_trial(optuna.trial.create_trial(state=TrialState.FAIL, user_attrs=failed))
    study.optuna.set_user_attr("versions", {ODD: ODD})
    record_scoring(study.optuna, 0, ODD)
    return study


@pytest.fixture(scope="session")
def odd_page(odd_study: LoadedStudy, export_of: Callable[..., Path], report: Callable[..., str]) -> str:
    """The report of ``odd_study``, with its export."""
    return report(odd_study, export=export_of(odd_study))


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """The report of a study, as text."""

    def write(study: LoadedStudy, **said: Any) -> str:
        out = tmp_path_factory.mktemp("report") / "report.html"
        report_study(study.config.study, root=study.paths.root, out=out, **said)
        return out.read_text(encoding="utf-8")

    return write
