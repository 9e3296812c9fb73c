"""The runs of a sweep as they are compared."""

from search.reporting.sweep_runs import SweepRun


def test_run_is_compared_by_its_kept_weights_and_not_by_its_luckiest_epoch() -> None:
    history = {"accuracy": [0.5, 0.7, 0.8], "val_accuracy": [0.4, 0.9, 0.6]}
    run = SweepRun(0, "finished", {"width": 4}, 0, history, {"kept_epoch": 3})
    assert (run.accuracy, run.kept_epoch) == (0.6, 3)
