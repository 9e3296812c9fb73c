"""The runs of a sweep as they are compared."""

from search.reporting.sweep_runs import SweepRun, failed_sentence


def test_run_is_compared_by_its_kept_weights_and_not_by_its_luckiest_epoch() -> None:
    history = {"accuracy": [0.5, 0.7, 0.8], "val_accuracy": [0.4, 0.9, 0.6]}
    run = SweepRun(0, "finished", {"width": 4}, 0, history, {"kept_epoch": 3})
    assert (run.accuracy, run.kept_epoch) == (0.6, 3)


def test_runs_that_have_only_failed_are_named_with_their_reasons() -> None:
    def run(width: int, state: str, reason: str = "") -> SweepRun:
        return SweepRun(0, state, {"width": width}, 0, {}, {"reason": reason})

    mended = [run(4, "failed", "crashed"), run(4, "finished"), run(8, "diverged", "no number")]
    assert failed_sentence(mended, 2) == ""
    tried = [*mended, *[run(9, "failed", "ValueError: x")] * 2, run(10, "failed", "signal SIGSEGV")]
    assert failed_sentence(tried, 4) == (
        "2 of 4 runs failed (width=9: ValueError: x; width=10: signal SIGSEGV); the same command tries them again."
    )
