"""What compute a study has taken, in training FLOPs: its trials, and the trainings after its search."""

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from search.study.study import LoadedStudy, Study
from storage.liveness import HEARTBEAT

# What trainings after the search have taken, FLOPs, by what they were: of races, and final ones.
AFTER_SEARCH = "compute_after_search"


def compute_spent(study: LoadedStudy) -> float:
    """FLOPs that a study has taken: all trials, validation and the running ones included; races; final trainings."""
    return spent_of(study.optuna, study.optuna.get_trials(deepcopy=False))


def spent_of(study: Study, trials: Sequence[FrozenTrial]) -> float:
    """As ``compute_spent``, of trials that have been read already."""
    return compute_of(trials) + float(sum(study.user_attrs.get(AFTER_SEARCH, {}).values()))


def record_compute(study: LoadedStudy, what: str, flops: float) -> None:
    """Record what a training after the search has taken; once, where the same is recorded again."""

    def record() -> None:
        after = study.optuna.user_attrs.get(AFTER_SEARCH, {})
        if after.get(what) != flops:
            study.optuna.set_user_attr(AFTER_SEARCH, {**after, what: flops})

    study.storage.exclusively("compute", record)


def last_recorded(study: LoadedStudy, what: str) -> tuple[str, float]:
    """The last training after the search whose name begins so, and its FLOPs; no name and 0 where there is none."""
    after = study.optuna.user_attrs.get(AFTER_SEARCH, {})
    return max(((name, flops) for name, flops in after.items() if name.startswith(what)), default=("", 0.0))


def compute_of(trials: Sequence[FrozenTrial]) -> float:
    """FLOPs that these trials have trained and validated for; those of a running one's validation come at its end."""
    spent = 0.0
    for trial in trials:
        recorded = trial.user_attrs
        epochs = max(trial.intermediate_values, default=0)
        spent += float(recorded.get("compute", epochs * _epoch_compute(trial)))
        spent += float(recorded.get("validation_compute", 0.0))
    return spent


def whole_compute(trial: FrozenTrial) -> float:
    """FLOPs that a trial has taken; of a running one those of all its epochs, without their validation."""
    life = trial.system_attrs.get(HEARTBEAT, {})
    if trial.state == TrialState.RUNNING and life.get("epochs"):
        return float(life["epochs"]) * _epoch_compute(trial)
    return compute_of([trial])


def _epoch_compute(trial: FrozenTrial) -> float:
    recorded = trial.user_attrs
    images = recorded.get("epoch_images", recorded.get("training_images", 0))
    return 3.0 * float(recorded.get("flops", 0)) * float(images)
