from itertools import pairwise

import pytest
from three_layers import SIDES, Run, Task


@pytest.mark.parametrize("side", SIDES)
def test_run_takes_the_steps_of_its_task(side: str, task: Task, runs: dict[str, Run]) -> None:
    assert runs[side].steps == 4 * 3


@pytest.mark.parametrize("side", SIDES)
def test_run_times_each_epoch_once(side: str, runs: dict[str, Run]) -> None:
    run = runs[side]
    assert len(run.ends) == len(run.training) == len(run.val_accuracy) == 3
    # Validation comes between the end of the training and that of the epoch; our child rounds to six digits.
    for (before, end), training in zip(pairwise(run.ends), run.training[1:], strict=True):
        assert 0 < training < end - before + 1e-3
    # The first epoch traces the net.
    assert run.training[0] > run.training[1]
