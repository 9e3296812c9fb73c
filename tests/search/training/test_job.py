"""One training in a child: resumed, kept, stopped early, refitted, on images of real digits."""

import dataclasses
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.child import Child, ForkServer
from search.data import Dataset, fold
from search.training.job import HISTORY, Training
from search.training.plan import TrainingPlan
from spaces.contract import InputSpec
from spaces.recipe import Recipe
from storage.checkpoints import read_checkpoint, write_checkpoint

PARAMS = {"width": 16, "dropout": 0.3, "fault": "", "once": ""}
RECIPE = Recipe(learning_rate=0.05, batch_size=32, augmentation=1.0, momentum=0.85)

# Of a training on pixels: it says nothing before its first epoch.
UNHEARD: Any = None


@pytest.fixture
def plan(digits: Dataset, tmp_path: Path) -> TrainingPlan:
    """Five epochs on 200 digits, with dropout, momentum and augmentation."""
    return TrainingPlan(
        space="small_space",
        params=PARAMS,
        recipe=RECIPE,
        input_spec=InputSpec(8, 8, 1, 10),
        dataset=str(digits.folder),
        validation=0.1,
        images=200,
        split_seed=0,
        seed=11,
        epochs=5,
        flip=True,
        checkpoint=str(tmp_path / "checkpoint.npz"),
        checkpoint_seconds=0.0,
        model=str(tmp_path / "model.keras"),
    )


@pytest.fixture
def train(fork_server: ForkServer, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Train as a plan says, in a child: all its messages."""

    def run(
        plan: TrainingPlan, stop_after: int = 0, prune_after: int = 0, server: ForkServer = fork_server
    ) -> list[dict[str, Any]]:
        payload, log = plan.to_payload(), tmp_path / "log.txt"
        with server.start("search.training.job:train", payload, log, threads=1) as child:
            return list(listen(child, stop_after, prune_after))

    return run


def listen(child: Child, stop_after: int, prune_after: int) -> Iterator[dict[str, Any]]:
    """The messages of a child, which is asked to stop in the epoch after ``stop_after``."""
    while True:
        message = child.receive(120)
        assert message is not None
        if message["kind"] in ("batch", "checkpoint"):
            continue
        assert message["kind"] in ("built", "epoch", "done"), message
        yield message
        if message["kind"] == "done":
            return
        if message["kind"] == "epoch":
            child.send({"go": message["epoch"] != prune_after})
            if message["epoch"] == stop_after:
                child.stop()


def learning(done: dict[str, Any]) -> dict[str, list[float]]:
    """What was learnt, without how long it took."""
    return {name: values for name, values in done["history"].items() if name != "seconds"}


@pytest.fixture
def score_kept(fork_server: ForkServer, tmp_path: Path) -> Callable[[TrainingPlan], dict[str, float]]:
    def score(plan: TrainingPlan) -> dict[str, float]:
        with fork_server.start("child_jobs:score_file", plan.to_payload(), tmp_path / "score.txt") as child:
            return child.result(120)

    return score


def test_messages_tell_what_was_built_every_epoch_and_the_outcome(plan, train) -> None:
    built, *epochs, done = train(plan)
    assert built["device"]
    assert (built["training_images"], built["validation_images"], built["epoch"]) == (200, 144, 0)
    assert [message["epoch"] for message in epochs] == [1, 2, 3, 4, 5]
    assert all(message["images_per_second"] > 0 for message in epochs)
    assert done["history"] == {name: [message[name] for message in epochs] for name in HISTORY}
    assert (done["epochs"], done["kept_epoch"], done["stopped"]) == (5, 5, False)
    assert done["versions"].keys() == {"python", "keras", "tensorflow", "numpy"}


def test_training_learns_the_digits(plan, train) -> None:
    *_, done = train(
        dataclasses.replace(plan, images=None, recipe=dataclasses.replace(RECIPE, augmentation=0.0))
    )
    assert done["history"]["val_accuracy"][-1] > 0.85


def test_fold_is_trained_without_the_images_that_it_is_validated_on(plan, digits: Dataset) -> None:
    training = Training(dataclasses.replace(plan, images=None, folds=3, fold=1), "cpu", UNHEARD)
    part = fold(digits.train()[1], 3, 1, plan.split_seed)
    np.testing.assert_array_equal(training.chosen, part.train)
    np.testing.assert_array_equal(training.validation, part.validation)
    assert not set(part.train) & set(part.validation)


@pytest.mark.parametrize(("augmenter", "on_device"), [("shifts", True), ("photographs", False)])
def test_images_go_to_a_gpu_unless_they_are_seen_anew_on_the_host(
    plan, augmenter: Any, on_device: bool
) -> None:
    training = Training(
        dataclasses.replace(plan, recipe=dataclasses.replace(RECIPE, augmenter=augmenter)), "a GPU", UNHEARD
    )
    assert training.on_device is on_device


@pytest.mark.slow
def test_run_stopped_in_an_epoch_equals_the_uninterrupted_one(plan, train) -> None:
    stop_after = 3
    *_, whole = train(dataclasses.replace(plan, checkpoint=None, model=None))
    *_, stopped = train(plan, stop_after=stop_after)
    assert stopped == {"kind": "done", "stopped": True, "epochs": stop_after}

    built, *epochs, resumed = train(plan)
    assert built["epoch"] == stop_after
    assert len(epochs) == 5 - stop_after
    assert learning(resumed) == learning(whole)


@pytest.mark.slow
def test_run_stopped_in_its_first_epoch_begins_again_the_same(plan, train, fork_server, tmp_path) -> None:
    *_, whole = train(dataclasses.replace(plan, checkpoint=None))
    with fork_server.start("search.training.job:train", plan.to_payload(), tmp_path / "log.txt", 1) as child:
        child.stop()
        *_, stopped = listen(child, 0, 0)
    assert stopped == {"kind": "done", "stopped": True, "epochs": 0}
    *_, resumed = train(plan)
    assert learning(resumed) == learning(whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(optimizer="adam", learning_rate=0.01, schedule="cosine", batch_size=32),
        Recipe(learning_rate=0.05, ema=0.9, batch_size=32),
        Recipe(learning_rate=0.05, augmenter="photographs", batch_size=32),
    ],
    ids=["adam-cosine", "averaged", "photographs"],
)
def test_resumed_run_is_the_same_under_every_recipe(plan, train, recipe: Recipe) -> None:
    plan = dataclasses.replace(plan, recipe=recipe, epochs=4)
    *_, whole = train(dataclasses.replace(plan, checkpoint=None))
    train(plan, stop_after=2)
    *_, resumed = train(plan)
    assert learning(resumed) == learning(whole)


@pytest.mark.slow
def test_resumed_run_keeps_the_best_epoch_of_before(plan, train, score_kept) -> None:
    recipe = dataclasses.replace(RECIPE, schedule="constant", learning_rate=0.5)
    plan = dataclasses.replace(plan, recipe=recipe, early_stopping=4, epochs=6)
    *_, whole = train(dataclasses.replace(plan, checkpoint=None))
    train(plan, stop_after=3)
    *_, resumed = train(plan)
    assert resumed["kept_epoch"] == whole["kept_epoch"]
    assert learning(resumed) == learning(whole)
    assert score_kept(plan)["val_loss"] == pytest.approx(min(whole["history"]["val_loss"]), rel=1e-5)


def test_checkpoint_of_another_net_is_refused(plan, train, fork_server, tmp_path) -> None:
    train(plan, stop_after=1)
    path = Path(plan.checkpoint)
    stored = read_checkpoint(path)
    assert stored is not None
    arrays, facts = stored
    write_checkpoint(path, arrays[:3], facts)
    with fork_server.start("search.training.job:train", plan.to_payload(), tmp_path / "log.txt", 1) as child:
        message = child.receive(120)
    assert message is not None
    assert message["message"].startswith("the checkpoint has 3 arrays where this model has ")


def test_checkpoint_of_another_study_is_not_gone_on_from(plan, train) -> None:
    """Deleting the database leaves checkpoints under the numbers that the next study's trials get."""
    train(plan, stop_after=1)
    other = dataclasses.replace(plan, images=plan.images - 20)
    *_, afresh = train(dataclasses.replace(other, checkpoint=None))
    built, *_, done = train(other)
    assert built["epoch"] == 0
    assert learning(done) == learning(afresh)


def test_checkpoints_are_not_written_more_often_than_asked(plan, train) -> None:
    train(dataclasses.replace(plan, checkpoint_seconds=3600.0))
    assert not Path(plan.checkpoint).exists()
    train(plan)
    assert Path(plan.checkpoint).exists()


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_kept_weights_are_those_that_scored(plan, train, score_kept, ema: float) -> None:
    plan = dataclasses.replace(plan, recipe=dataclasses.replace(RECIPE, ema=ema))
    *_, done = train(plan)
    found = score_kept(plan)
    for name in ("val_accuracy", "val_macro_f1"):
        assert done["history"][name][-1] == pytest.approx(found[name], abs=1e-6)
    assert found["val_loss"] == pytest.approx(done["history"]["val_loss"][-1], rel=1e-5)


def test_early_stopping_keeps_the_best_epochs_weights(plan, train, score_kept) -> None:
    # So high a rate that the first epochs are the best.
    recipe = Recipe(optimizer="adam", schedule="constant", learning_rate=0.5, batch_size=32, augmentation=0.0)
    plan = dataclasses.replace(plan, recipe=recipe, early_stopping=2, epochs=40)
    *_, done = train(plan)
    losses = done["history"]["val_loss"]
    assert done["kept_epoch"] == losses.index(min(losses)) + 1
    assert done["epochs"] == done["kept_epoch"] + 2 < 40
    assert score_kept(plan)["val_loss"] == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.parametrize("early_stopping", [0, 5])
def test_matrix_is_of_the_kept_epoch_in_a_resumed_run_too(
    plan, train, digits: Dataset, early_stopping: int
) -> None:
    recipe = dataclasses.replace(RECIPE, learning_rate=0.3, label_smoothing=0.0)
    plan = dataclasses.replace(plan, recipe=recipe, early_stopping=early_stopping)
    whole = train(plan)[-1]
    train(dataclasses.replace(plan, checkpoint=f"{plan.checkpoint}.again"), stop_after=3)
    resumed = train(dataclasses.replace(plan, checkpoint=f"{plan.checkpoint}.again"))[-1]
    right, count = np.trace(whole["matrix"]), np.sum(whole["matrix"])
    assert count == whole["validation_images"]
    assert right / count == pytest.approx(whole["history"]["val_accuracy"][whole["kept_epoch"] - 1], abs=1e-6)
    assert resumed["matrix"] == whole["matrix"]


def test_steps_of_an_epoch_are_bounded_by_larger_batches(plan, train) -> None:
    recipe = dataclasses.replace(RECIPE, most_steps=4)
    assert train(dataclasses.replace(plan, recipe=recipe, epochs=1))[-1]["batch_size"] == 64
    assert train(dataclasses.replace(plan, epochs=1))[-1]["batch_size"] == 32


def test_pruned_run_ends_without_a_kept_file(plan, train) -> None:
    *_, done = train(plan, prune_after=2)
    assert (done["stopped"], done["epochs"]) == (False, 2)
    assert len(done["history"]["val_loss"]) == 2
    assert not Path(plan.model).exists()


def test_diverged_run_reports_no_number_and_waits_for_the_verdict(plan, train) -> None:
    recipe = dataclasses.replace(RECIPE, learning_rate=1e30)
    *_, last, done = train(dataclasses.replace(plan, recipe=recipe), prune_after=1)
    assert last["loss"] != last["loss"]
    assert done["epochs"] == 1


def test_refit_trains_on_all_training_images(plan, train, digits: Dataset) -> None:
    built, *epochs, done = train(dataclasses.replace(plan, full=True, images=100, epochs=2))
    assert built["training_images"] == done["training_images"] == sum(digits.train_counts)
    assert [message["val_accuracy"] for message in epochs] == [None, None]
    assert done["history"]["val_accuracy"] == []
    assert len(done["history"]["loss"]) == 2
    assert Path(plan.model).exists()


def test_class_weights_change_what_is_learnt(plan, train) -> None:
    *_, plain = train(dataclasses.replace(plan, images=None, epochs=1))
    *_, weighted = train(dataclasses.replace(plan, images=None, epochs=1, class_weights="balanced"))
    assert learning(weighted) != learning(plain)
    assert weighted["history"]["loss"][0] == pytest.approx(plain["history"]["loss"][0], rel=0.1)


def test_accumulated_gradients_learn_as_whole_batches_do(plan, train) -> None:
    # 192 images are six batches of 32; batch statistics are of half a batch: everything else is the same.
    recipe = Recipe(learning_rate=0.02, batch_size=32, augmentation=0.0)
    plan = dataclasses.replace(plan, recipe=recipe, images=192, params={**PARAMS, "dropout": 0.0}, epochs=8)
    *_, whole = train(dataclasses.replace(plan, checkpoint=None))
    *_, halves = train(dataclasses.replace(plan, checkpoint=None, accumulate=2))
    assert halves["history"]["val_loss"][-1] == pytest.approx(whole["history"]["val_loss"][-1], rel=0.1)


@pytest.mark.slow
def test_one_training_on_jax(plan, train, score_kept) -> None:
    if importlib.util.find_spec("jax") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("jax is missing: CI installs it with the extra 'test'")
        pytest.skip("jax is not installed: pip install '.[jax]'")
    with ForkServer("jax") as server:
        *_, done = train(dataclasses.replace(plan, epochs=3), server=server)
        assert done["backend"] == "jax"
        assert "jax" in done["versions"]
        train(dataclasses.replace(plan, epochs=3), stop_after=1, server=server)
        *_, resumed = train(dataclasses.replace(plan, epochs=3), server=server)
    assert learning(resumed) == learning(done)
    # The file holds nothing of the backend: TensorFlow gives the same scores.
    assert score_kept(plan)["val_loss"] == pytest.approx(done["history"]["val_loss"][-1], rel=1e-4)
