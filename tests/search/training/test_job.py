"""One training in a child: resumed, kept, stopped early, refitted, on images of real digits.

A training costs two seconds, most of them for TensorFlow's tracing: each is run once, and looked at by many tests.
"""

import dataclasses
import importlib.util
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from search.data import Dataset, split
from search.process.child import Child
from search.process.fork_server import ForkServer
from search.training.checkpointing import capture
from search.training.plan import TrainingPlan
from search.training.training import Training
from search.training.validation import validate
from spaces.recipe import Recipe
from storage.checkpoints import read_checkpoint, write_checkpoint

# Keras 3.15's own, once a variable that becomes an array.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
# All that a recipe can ask to be remembered, at so high a rate that an early epoch is the best.
EARLY = Recipe(
    optimizer="adam",
    schedule="cosine",
    learning_rate=0.5,
    ema=0.5,
    augmenter="photographs",
    batch_size=32,
    label_smoothing=0.0,
)
# Neither augmentation nor dropout: the same images and weights give the same gradients.
PLAIN = Recipe(learning_rate=0.02, ema=0.9, batch_size=32, augmentation=0.0)

# Of a training on pixels: it says nothing before its first epoch.
UNHEARD: Any = None

HISTORY = ("loss", "accuracy", "val_loss", "val_accuracy", "val_macro_f1", "seconds")


@dataclasses.dataclass
class Run:
    """A training as its worker heard it.

    Attributes:
        plan: What it was told.
        built: Its first message.
        epochs: A message an epoch.
        done: Its last message.
        checkpoints: Epochs after which it wrote a checkpoint, one after the other.
    """

    plan: TrainingPlan
    built: dict[str, Any] = dataclasses.field(default_factory=dict)
    epochs: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    done: dict[str, Any] = dataclasses.field(default_factory=dict)
    checkpoints: list[int] = dataclasses.field(default_factory=list)

    @property
    def history(self) -> dict[str, list[float]]:
        """What was learnt, without how long it took."""
        return {name: values for name, values in self.done["history"].items() if name != "seconds"}

    @property
    def kept(self) -> keras.Model:
        """The net in the kept file."""
        return keras.models.load_model(self.plan.model)

    def checkpoint(self, epoch: int) -> str:
        """A copy of the checkpoint that was written after ``epoch``."""
        return f"{self.plan.checkpoint}.{epoch}"


@pytest.fixture(scope="module")
def train(fork_server: ForkServer) -> Callable[..., Run]:
    """Train as a plan says, in a child.

    It is asked to stop in the epoch after ``stop_after``, and told not to go on after ``prune_after``.
    """

    def run(
        plan: TrainingPlan,
        stop_after: int | None = None,
        prune_after: int = 0,
        server: ForkServer = fork_server,
    ) -> Run:
        log = Path(str(plan.model)).with_name("log.txt")
        with server.start("search.training.job:train", plan.to_payload(), log, threads=1) as child:
            if stop_after == 0:
                child.stop()
            return listen(child, Run(plan), stop_after, prune_after)

    return run


def listen(child: Child, run: Run, stop_after: int | None, prune_after: int) -> Run:
    while True:
        message = child.receive(120)
        assert message is not None
        match message["kind"]:
            case "built":
                run.built = message
            case "checkpoint":
                run.checkpoints.append(message["epoch"])
                # It writes no other before its next question has been answered.
                shutil.copy(str(run.plan.checkpoint), run.checkpoint(message["epoch"]))
            case "epoch":
                run.epochs.append(message)
                child.send({"go": message["epoch"] != prune_after})
                if message["epoch"] == stop_after:
                    child.stop()
            case "done":
                run.done = message
                return run
            case kind:
                assert kind == "batch", message


@pytest.fixture(scope="module")
def whole(make_plan, train) -> Run:
    """Uninterrupted; checkpoints are asked for once an hour."""
    return train(make_plan(checkpoint_seconds=3600.0))


@pytest.fixture(scope="module")
def interrupted(make_plan, train) -> list[Run]:
    """The same training in three processes: stopped in its first epoch, then in its fourth, then done."""
    plan = make_plan()
    return [train(plan, stop_after=0), train(plan, stop_after=3), train(plan)]


@pytest.fixture(scope="module")
def early(make_plan, train) -> Run:
    """Stopped early, two epochs after its best."""
    return train(make_plan(recipe=EARLY, early_stopping=2, epochs=40))


@pytest.fixture(scope="module")
def early_resumed(early: Run, make_plan, train) -> Run:
    """The same, gone on with from the checkpoint of its best epoch."""
    plan = make_plan(recipe=EARLY, early_stopping=2, epochs=40)
    shutil.copy(early.checkpoint(early.done["kept_epoch"]), str(plan.checkpoint))
    return train(plan)


@pytest.fixture(scope="module")
def plain(make_plan, train) -> Run:
    """On all digits as they are, with averaged weights."""
    return train(
        make_plan(recipe=PLAIN, images=None, params={**make_plan().params, "dropout": 0.0}, epochs=8)
    )


@pytest.fixture(scope="module")
def weighted(make_plan, train) -> Run:
    """As ``plain``, with class weights; pruned after two epochs."""
    params = {**make_plan().params, "dropout": 0.0}
    plan = make_plan(recipe=PLAIN, images=None, params=params, epochs=8, class_weights="balanced")
    return train(plan, prune_after=2)


@pytest.fixture(scope="module")
def long(make_plan, train) -> Run:
    """So many steps long, in four parts: 50 steps of 32 are eight passes over 200 images."""
    return train(make_plan(epochs=4, steps=50))


@pytest.fixture(scope="module")
def long_resumed(make_plan, train) -> list[Run]:
    """The same in three processes: stopped in its first part, then in its third, then done."""
    plan = make_plan(epochs=4, steps=50)
    return [train(plan, stop_after=0), train(plan, stop_after=2), train(plan)]


@pytest.fixture
def score_kept(digits: Dataset) -> Callable[[Run], dict[str, float]]:
    """The scores of a kept file on the validation images, as the file itself has them."""

    def score(run: Run) -> dict[str, float]:
        images, labels = digits.train()
        chosen = split(labels, run.plan.validation, run.plan.images, run.plan.split_seed).validation
        return validate(run.kept, images, labels, chosen)[0]

    return score


def test_messages_tell_what_was_built_every_epoch_and_the_outcome(whole: Run) -> None:
    built, epochs, done = whole.built, whole.epochs, whole.done
    assert built["device"]
    assert (built["training_images"], built["validation_images"], built["epoch"]) == (200, 144, 0)
    assert [message["epoch"] for message in epochs] == [1, 2, 3, 4, 5]
    assert all(message["images_per_second"] > 0 for message in epochs)
    assert done["history"] == {name: [message[name] for message in epochs] for name in HISTORY}
    assert (done["epochs"], done["kept_epoch"], done["stopped"]) == (5, 5, False)
    assert done["versions"].keys() == {"python", "keras", "tensorflow", "numpy"}


def test_log_says_what_is_trained_before_its_first_epoch(whole: Run) -> None:
    log = Path(str(whole.plan.model)).with_name("log.txt").read_text()
    first = next(line for line in log.splitlines() if line.startswith(("space ", "epoch ")))
    assert first.startswith("space ")
    assert f" training images in batches of {whole.done['batch_size']}, " in first


def test_training_learns_the_digits(plain: Run) -> None:
    assert plain.history["val_accuracy"][-1] > 0.85


@pytest.fixture(scope="module")
def in_folds(make_plan) -> list[TrainingPlan]:
    plan = make_plan(images=None, folds=8, epochs=1, checkpoint=None, model=None)
    return [dataclasses.replace(plan, fold=fold, seed=plan.seed + fold) for fold in range(2)]


def test_fold_comes_out_the_same_whether_or_not_others_were_trained_before_it(
    in_folds: list[TrainingPlan], fork_server: ForkServer, tmp_path: Path
) -> None:
    def train_one_after_another(*plans: TrainingPlan) -> Run:
        """The training of the last, in the process that has trained the others."""
        payloads = [*(plan.to_payload() for plan in plans), None]
        with fork_server.start("search.training.job:train_folds", payloads[0], tmp_path / "log", 1) as child:
            for plan, following in zip(plans, payloads[1:], strict=True):
                run = listen(child, Run(plan), None, 0)
                child.send({"plan": following})
            assert child.wait() == 0
        return run

    after, alone = train_one_after_another(*in_folds), train_one_after_another(in_folds[1])
    assert after.history == alone.history
    assert after.done["matrix"] == alone.done["matrix"]


def test_folds_share_a_traced_net_unless_their_schedules_differ(in_folds: list[TrainingPlan]) -> None:
    first = Training(in_folds[0], "cpu", UNHEARD)
    second = Training(in_folds[1], "cpu", UNHEARD, first)
    assert second.fitted is first.fitted
    longer = dataclasses.replace(in_folds[1], epochs=2)
    assert Training(longer, "cpu", UNHEARD, second).fitted is not first.fitted


def test_checkpoints_of_recipes_from_before_their_newest_fields_are_found(plan) -> None:
    fields = dataclasses.asdict(plan.recipe)
    newest = {name: fields[name] for name in ("kernel_rate", "both_views")}
    assert newest == {"kernel_rate": 0.1, "both_views": False}
    other = dataclasses.replace(plan, recipe=dataclasses.replace(plan.recipe, kernel_rate=0.2))
    assert other.identity == plan.identity  # Which says nothing of them where nothing reads them.
    muon, faster = (
        dataclasses.replace(plan, recipe=dataclasses.replace(plan.recipe, optimizer="muon", kernel_rate=rate))
        for rate in (0.1, 0.2)
    )
    assert len({plan.identity, muon.identity, faster.identity}) == 3


def test_run_stopped_in_an_epoch_leaves_what_it_began_with(interrupted: list[Run]) -> None:
    first, second, third = interrupted
    assert first.done == {"kind": "done", "stopped": True, "epochs": 0}
    assert second.done == {"kind": "done", "stopped": True, "epochs": 3}
    assert [run.built["epoch"] for run in interrupted] == [0, 0, 3]
    assert [len(run.epochs) for run in interrupted] == [0, 3, 2]
    assert third.done["epochs"] == 5


@pytest.mark.slow
def test_interrupted_run_equals_the_uninterrupted_one(interrupted: list[Run], whole: Run) -> None:
    resumed = interrupted[-1]
    assert resumed.history == whole.history
    assert resumed.done["matrix"] == whole.done["matrix"]
    assert_same_weights(resumed, whole)


def assert_same_weights(one: Run, other: Run) -> None:
    for found, expected in zip(one.kept.get_weights(), other.kept.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_resumed_run_is_the_same_with_averages_photographs_and_early_stopping(
    early: Run, early_resumed: Run
) -> None:
    assert early_resumed.built["epoch"] == early.done["kept_epoch"]
    assert early_resumed.history == early.history
    # The best epoch came before it went on.
    assert early_resumed.done["kept_epoch"] == early.done["kept_epoch"]
    assert early_resumed.done["matrix"] == early.done["matrix"]
    assert_same_weights(early_resumed, early)


def assert_begins_again(plan: TrainingPlan) -> None:
    """A training of the plan resumes nothing, and is as one that has not tried to."""
    training, afresh = (Training(plan, "cpu", UNHEARD) for _ in range(2))
    training.resume()
    assert training.epoch == 0
    assert training.history == afresh.history
    states = (capture(each.model, each.optimizer) for each in (training, afresh))
    for found, expected in zip(*states, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_training_in_steps_reports_its_parts_and_what_it_has_seen(long: Run) -> None:
    assert [message["epoch"] for message in long.epochs] == [1, 2, 3, 4]
    assert long.built["epoch_images"] == 50 * 32 / 4
    assert (long.done["epochs"], long.done["images_seen"]) == (4, 50 * 32)


def test_interrupted_run_in_steps_equals_the_uninterrupted_one(long_resumed: list[Run], long: Run) -> None:
    assert [run.done["epochs"] for run in long_resumed] == [0, 2, 4]
    assert long_resumed[-1].history == long.history
    assert_same_weights(long_resumed[-1], long)


def test_run_in_steps_gone_on_with_from_before_its_last_part_is_the_same(long: Run, make_plan, train) -> None:
    plan = make_plan(epochs=4, steps=50)
    shutil.copy(long.checkpoint(3), str(plan.checkpoint))
    resumed = train(plan)
    assert resumed.built["epoch"] == 3
    assert resumed.history == long.history
    assert_same_weights(resumed, long)


@pytest.mark.parametrize("other", ["fewer arrays", "other shapes"])
def test_checkpoint_of_another_net_is_begun_again(
    interrupted: list[Run], plan, other: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The space was edited since: better again than failed twice."""
    stored = read_checkpoint(Path(interrupted[1].checkpoint(3)))
    assert stored is not None
    arrays, facts = stored
    # The last of all, so that a net that takes them one by one has taken the others.
    arrays = arrays[:3] if other == "fewer arrays" else [*arrays[:-1], np.zeros((*arrays[-1].shape, 2))]
    write_checkpoint(Path(plan.checkpoint), arrays, facts)
    caplog.set_level("INFO")
    assert_begins_again(plan)
    assert re.search(
        r"the checkpoint has .* where this model has .*: begun again$", caplog.text, re.MULTILINE
    )


def test_checkpoint_of_another_study_is_not_gone_on_from(interrupted: list[Run], make_plan) -> None:
    """Deleting the database leaves checkpoints under the numbers that the next study's trials get."""
    plan = make_plan(images=180, checkpoint=interrupted[1].checkpoint(3))
    assert_begins_again(plan)


def test_checkpoints_are_not_written_more_often_than_asked(whole: Run, interrupted: list[Run]) -> None:
    assert whole.checkpoints == []
    assert not Path(whole.plan.checkpoint).exists()
    # One that is stopped writes what its running epoch began with.
    assert [run.checkpoints for run in interrupted] == [[0], [1, 2, 3, 3], [4]]


@pytest.mark.parametrize("name", ["whole", "plain"], ids=["weights", "averaged weights"])
def test_kept_weights_are_those_that_scored(name: str, request: pytest.FixtureRequest, score_kept) -> None:
    run: Run = request.getfixturevalue(name)
    assert run.done["kept_epoch"] == run.plan.epochs
    found = score_kept(run)
    for figure in ("val_accuracy", "val_macro_f1"):
        assert run.history[figure][-1] == pytest.approx(found[figure], abs=1e-6)
    assert found["val_loss"] == pytest.approx(run.history["val_loss"][-1], rel=1e-5)


def test_early_stopping_keeps_the_best_epochs_weights(early: Run, score_kept) -> None:
    losses = early.history["val_loss"]
    assert early.done["kept_epoch"] == losses.index(min(losses)) + 1
    assert early.done["epochs"] == early.done["kept_epoch"] + 2 < 40
    assert score_kept(early)["val_loss"] == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.parametrize("name", ["whole", "early"])
def test_matrix_is_of_the_kept_epoch(name: str, request: pytest.FixtureRequest) -> None:
    done = request.getfixturevalue(name).done
    right, count = np.trace(done["matrix"]), np.sum(done["matrix"])
    assert count == done["validation_images"]
    assert right / count == pytest.approx(done["history"]["val_accuracy"][done["kept_epoch"] - 1], abs=1e-6)


def test_pruned_run_ends_without_a_kept_file(weighted: Run) -> None:
    assert (weighted.done["stopped"], weighted.done["epochs"]) == (False, 2)
    assert len(weighted.done["history"]["val_loss"]) == 2
    assert not Path(weighted.plan.model).exists()


@pytest.mark.parametrize("length", [{}, {"steps": 400, "epochs": 8}], ids=["epochs", "compute"])
def test_diverged_run_reports_no_number_and_waits_for_the_verdict(length, make_plan, train) -> None:
    """At equal compute a training is judged by the mean of its late weights, of which there is none yet."""
    recipe = dataclasses.replace(make_plan().recipe, learning_rate=1e30)
    run = train(make_plan(recipe=recipe, **length), prune_after=1)
    (last,) = run.epochs
    assert last["loss"] != last["loss"]
    assert run.done["epochs"] == 1


def test_refit_trains_on_all_training_images(make_plan, train, digits: Dataset) -> None:
    run = train(make_plan(full=True, images=100, epochs=2))
    assert run.built["training_images"] == run.done["training_images"] == sum(digits.train_counts)
    assert [message["val_accuracy"] for message in run.epochs] == [None, None]
    assert run.done["history"]["val_accuracy"] == []
    assert len(run.done["history"]["loss"]) == 2
    assert Path(run.plan.model).exists()


def test_class_weights_change_what_is_learnt(weighted: Run, plain: Run) -> None:
    ours, theirs = weighted.history["loss"], plain.history["loss"]
    assert all(one != other for one, other in zip(ours, theirs, strict=False))
    assert ours[0] == pytest.approx(theirs[0], rel=0.1)


def test_accumulated_gradients_learn_as_whole_batches_do(plain: Run, make_plan, train) -> None:
    # Batch statistics are of half a batch: everything else is the same.
    halves = train(dataclasses.replace(plain.plan, checkpoint=None, model=make_plan().model, accumulate=2))
    assert halves.history["val_loss"][-1] == pytest.approx(plain.history["val_loss"][-1], rel=0.1)


@pytest.mark.slow
def test_one_training_on_jax(make_plan, train, score_kept) -> None:
    if importlib.util.find_spec("jax") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("jax is missing: CI installs it with the extra 'test'")
        pytest.skip("jax is not installed: pip install '.[jax]'")
    plan = make_plan(epochs=3)
    with ForkServer("jax") as server:
        whole = train(make_plan(epochs=3), server=server)
        shutil.copy(whole.checkpoint(1), plan.checkpoint)
        resumed = train(plan, server=server)
    assert whole.done["backend"] == "jax"
    assert "jax" in whole.done["versions"]
    assert resumed.built["epoch"] == 1
    assert resumed.history == whole.history
    # The file holds nothing of the backend: TensorFlow gives the same scores.
    assert score_kept(resumed)["val_loss"] == pytest.approx(whole.history["val_loss"][-1], rel=1e-4)
