"""What compute a study has taken."""

from optuna.trial import TrialState, create_trial

from search.study.compute import compute_spent
from search.study.study import LoadedStudy


def test_compute_spent_counts_ended_and_running_trials(study: LoadedStudy) -> None:
    begun = {"flops": 10, "training_images": 100}
    done = create_trial(state=TrialState.COMPLETE, value=0.5, user_attrs={**begun, "compute": 7000.0})
    runs = create_trial(state=TrialState.RUNNING, user_attrs=begun, intermediate_values={1: 0.1, 2: 0.2})
    fresh = create_trial(state=TrialState.RUNNING, user_attrs={"flops": 10})
    for trial in (done, runs, fresh, create_trial(state=TrialState.WAITING)):
        study.optuna.add_trial(trial)
    assert compute_spent(study) == 7000 + 3 * 10 * 100 * 2
