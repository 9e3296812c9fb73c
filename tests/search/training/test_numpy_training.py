"""The job that tests train with in the place of the real one: it speaks as that does, and needs no framework."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.process.fork_server import ForkServer
from search.training.plan import TrainingPlan
from spaces.recipe import Recipe

PARAMS = {"width": 16, "dropout": 0.0, "fault": "", "once": ""}
Messages = list[dict[str, Any]]


@pytest.fixture
def plan(make_plan: Callable[..., TrainingPlan]) -> TrainingPlan:
    """Three epochs on 200 digits, a checkpoint after each."""
    recipe = Recipe(learning_rate=0.05, batch_size=32)
    return make_plan(params=PARAMS, recipe=recipe, epochs=3)


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Messages]:
    """Train as a plan says, in a child of a server: all its messages but the signs of life."""

    def run(plan: TrainingPlan, server: ForkServer, stop_after: int = 0, prune_after: int = 0) -> Messages:
        heard: Messages = []
        payload, log = plan.to_payload(), tmp_path / "log.txt"
        with server.start("search.training.job:train", payload, log, threads=1) as child:
            while not heard or heard[-1]["kind"] != "done":
                message = child.receive(120)
                assert message is not None
                assert message["kind"] != "error", message
                if message["kind"] == "epoch":
                    if message["epoch"] == stop_after:
                        child.stop()
                    child.send({"go": message["epoch"] != prune_after})
                if message["kind"] != "batch":
                    heard.append(message)
        return heard

    return run


def shape(value: Any) -> Any:
    """What there is, without what it is worth."""
    if isinstance(value, dict):
        return {name: value[name] if name == "kind" else shape(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
    )


def learning(done: dict[str, Any]) -> dict[str, list[float]]:
    """What was learnt, without how long it took."""
    return {name: values for name, values in done["history"].items() if name != "seconds"}


@pytest.mark.parametrize("steps", [0, 20])
def test_numpy_training_tells_a_worker_what_the_real_one_tells_it(
    plan, train, fork_server, fast_server, steps: int
) -> None:
    plan = dataclasses.replace(plan, steps=steps)
    real, ours = train(plan, fork_server), train(plan, fast_server)
    for messages in (real, ours):
        del messages[-1]["versions"]  # Of what trained.
    assert shape(ours) == shape(real)
    same = ("training_images", "validation_images", "batch_size", "epochs", "kept_epoch", "images_seen")
    assert [ours[-1][name] for name in same] == [real[-1][name] for name in same]


def test_numpy_training_loads_no_framework(plan, fast_server, tmp_path) -> None:
    job, modules = "child_jobs:train_and_list_modules", None
    with fast_server.start(job, plan.to_payload(), tmp_path / "log.txt", threads=1) as child:
        while modules is None:
            message = child.receive(60)
            assert message is not None
            if message["kind"] == "epoch":
                child.send({"go": True})
            modules = message.get("modules")
    assert not {"keras", "tensorflow", "jax", "torch"} & set(modules)


@pytest.mark.parametrize(("early_stopping", "steps"), [(0, 0), (4, 0), (0, 47), (4, 47)])
def test_numpy_training_that_was_stopped_learns_as_if_nothing_had_happened(
    plan, train, fast_server, early_stopping: int, steps: int
) -> None:
    plan = dataclasses.replace(plan, epochs=5, early_stopping=early_stopping, steps=steps)
    *_, whole = train(dataclasses.replace(plan, checkpoint=None), fast_server)
    *_, stopped = train(plan, fast_server, stop_after=2)
    assert stopped == {"kind": "done", "stopped": True, "epochs": 2}
    built, *_, resumed = train(plan, fast_server)
    assert built["epoch"] == 2
    assert learning(resumed) == learning(whole)
    assert (resumed["kept_epoch"], resumed["matrix"]) == (whole["kept_epoch"], whole["matrix"])


def test_numpy_training_does_not_go_on_from_another_trainings_checkpoint(plan, train, fast_server) -> None:
    train(plan, fast_server, stop_after=2)
    assert train(dataclasses.replace(plan, seed=12), fast_server)[0]["epoch"] == 0


def test_numpy_training_that_is_pruned_keeps_no_file(plan, train, fast_server) -> None:
    *_, done = train(plan, fast_server, prune_after=1)
    assert (done["stopped"], done["epochs"]) == (False, 1)
    assert not Path(plan.model).exists()


def test_numpy_training_stops_early_and_keeps_the_best_epoch(plan, train, fast_server) -> None:
    recipe = Recipe(learning_rate=1.0, batch_size=32)
    plan = dataclasses.replace(plan, recipe=recipe, early_stopping=2, epochs=40)
    *_, done = train(plan, fast_server)
    losses = done["history"]["val_loss"]
    assert done["kept_epoch"] == losses.index(min(losses)) + 1
    assert done["epochs"] == done["kept_epoch"] + 2 < 40


def test_numpy_training_in_two_parts_of_a_batch_learns_the_same(plan, train, fast_server) -> None:
    plan = dataclasses.replace(plan, checkpoint=None)
    whole, halves = (
        train(dataclasses.replace(plan, accumulate=parts), fast_server)[-1]["history"]["val_loss"]
        for parts in (1, 2)
    )
    assert halves == pytest.approx(whole, rel=1e-4)


def test_numpy_training_diverges_to_no_number(plan, train, fast_server) -> None:
    plan = dataclasses.replace(plan, recipe=Recipe(learning_rate=1e30, batch_size=32))
    *_, last, done = train(plan, fast_server, prune_after=1)
    assert last["val_loss"] != last["val_loss"]
    assert done["epochs"] == 1


def test_numpy_training_learns_the_digits(plan, train, fast_server) -> None:
    *_, done = train(dataclasses.replace(plan, images=None, epochs=5), fast_server)
    assert done["history"]["val_accuracy"][-1] > 0.85
