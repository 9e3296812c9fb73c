from pathlib import Path

import numpy as np
import optuna
import pytest
import recipe

import spaces
from search.data import Dataset, split
from search.process.fork_server import ForkServer
from search.training.plan import TrainingPlan
from spaces.contract import InputSpec


def test_images_validated_on_score_what_the_training_said_of_them(
    digits: Dataset, fork_server: ForkServer, tmp_path: Path
) -> None:
    spec = InputSpec(digits.height, digits.width, digits.channels, len(digits.classes))
    space = spaces.load("small_space")
    params = space.sample(optuna.trial.FixedTrial(space.first(spec)[0]), spec)
    plan = TrainingPlan(
        space="small_space", params=params, recipe=space.recipe(params, spec), input_spec=spec,
        dataset=str(digits.folder), validation=0.2, images=200, split_seed=0, seed=0, epochs=2,
        model=str(tmp_path / "model.keras"),
    )  # fmt: skip
    trained = recipe.train(fork_server, plan)
    chosen = tmp_path / "chosen.npy"
    np.save(chosen, split(digits.train()[1], 0.2, 200, 0).validation)
    payload = {
        "model": plan.model, "dataset": plan.dataset, "chosen": str(chosen), "gpu_memory": None
    }  # fmt: skip
    with fork_server.start("score_rest:score", payload, tmp_path / "log.txt") as child:
        scored = child.result()
    assert scored["val_accuracy"] == pytest.approx(trained["accuracy"], abs=1e-4)
    assert scored["val_loss"] == pytest.approx(trained["loss"], abs=1e-4)
