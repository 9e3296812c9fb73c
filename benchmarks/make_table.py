"""What random configurations of a space come to at equal compute: the table that searches are replayed on.

Row 0 is the space's default, the rows after it are drawn at random by the space's own ``sample``; with ``--near`` they
are drawn as a search draws around a good trial: about half of the default's values as they are, the others moved. What
the length cannot give two passes is drawn again. Each is trained on the same ``--images`` training images for
``--length`` training FLOPs, on a schedule made for exactly those, by the product's own training job. At each eighth of
that compute the table has the accuracy on the validation images, which at all but the last are at most 2,000, as in a
search,

- ``plain.k``: of the weights as they are;
- ``averaged.k``: of the mean of the late weights (search/training/late_mean.py), which a search ranks by;
- ``decayed.k``: of a copy that is trained on for a tenth of the steps so far, while its rate falls to zero. The
  training itself goes on from before that. It takes a third more, and is measured only with ``--copies``.

A net that answers for both views of an image does so at the end alone: on the way one is scored, for half the cost.
``true`` is the accuracy at the end on ``--unseen`` training images that are neither trained nor validated on, which no
search may rank by. The test images stay sealed. Rows are appended to ``table/NAME.csv``, and the same command goes on
where it ended; ``--seed 1`` trains the same configurations with other seeds, as rows of their own. Several processes
may share the rows: ``--share 0/2`` and ``--share 1/2``. ``--only`` trains some rows alone: with another ``--name``, and
four times the images and the compute, those whose lead is to be shown to last (``simulate.py --longer``).

    python benchmarks/make_table.py --data FOLDER_OF_CIFAR10 --name cifar_cnn --rows 250 --length 2.5TFLOP
"""

import dataclasses
import logging
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import optuna
from record import append_row, make_parser, read_rows

import spaces
from search.cli.parsing import parse_compute
from search.config.settings import RunOptions
from search.config.study_config import StudyConfig
from search.data import Dataset
from search.data.preparation import prepare
from search.execution.prior import SAME, around
from search.metrics.inference import logits
from search.study.configurations import Draw
from search.study.creation import new_config
from search.study.length import PARTS, set_length, violations
from search.study.proposal import Proposal, propose
from search.training.batches import StreamFeed
from search.training.checkpointing import capture, restore
from search.training.optimizer import OneCycle
from search.training.plan import TrainingPlan
from search.training.training import Training

TABLES = Path(__file__).parent / "table"
# How long a copy is trained on while its rate falls, as a part of the steps so far.
DECAY = 0.1


class Stoppable(OneCycle):
    """One cycle that can be left at any step, to fall to zero from there: see ``leave`` and ``go_back``."""

    def __init__(self, peak: float, steps: int, warmup: float) -> None:
        super().__init__(peak, steps, warmup)
        # Variables, so that a step that has been traced follows them; the length is 0 while nothing is left.
        self._left_at, self._over = (keras.Variable(0.0, trainable=False) for _ in range(2))

    def __call__(self, step: Any) -> Any:
        """The rate at optimizer update ``step``."""
        since = keras.ops.cast(step, "float32") - self._left_at
        falling = super().__call__(self._left_at) * (1 - since / keras.ops.maximum(self._over, 1.0))
        return keras.ops.where(self._over > 0, keras.ops.maximum(falling, 0.0), super().__call__(step))

    def leave(self, step: int, over: int) -> None:
        """From ``step`` on, fall to zero within ``over`` steps."""
        self._left_at.assign(step)
        self._over.assign(over)

    def go_back(self) -> None:
        """Follow the cycle again."""
        self._over.assign(0)


class Watched(Training):
    """A training that is validated at each eighth in three ways.

    Attributes:
        found: ``plain.1`` and so on, as the table has them.
    """

    def __init__(self, plan: TrainingPlan, copies: bool = False) -> None:
        nothing: Any = SimpleNamespace(pulse=lambda **told: None, stopped=False)
        super().__init__(plan, "cpu", nothing)
        self.cycle = Stoppable(plan.recipe.learning_rate, plan.steps, plan.recipe.warmup)
        self.optimizer._learning_rate = self.cycle
        self.found: dict[str, float] = {}
        self._nothing, self._copies = nothing, copies

    def run(self) -> None:
        """Train to the end."""
        while self.epoch < self.plan.epochs:
            self.run_epoch(self._nothing)

    def accuracy(self, chosen: np.ndarray) -> float:
        """Of the weights as they are, on some of the training images."""
        answers = logits(self.as_exported(), self.images, chosen).argmax(axis=1)
        return float(np.mean(answers == self.labels[chosen]))

    def _validate(self, channel: Any) -> dict[str, float]:
        eighth = self.epoch + 1
        assert self.late is not None, "it has no early stopping"
        self.found[f"plain.{eighth}"] = self._value(eighth)
        with self.late.used(self.model, self.images[self._counted]):
            self.found[f"averaged.{eighth}"] = self._value(eighth)
        if self._copies and eighth < PARTS:
            state = capture(self.model, self.optimizer)
            self.found[f"decayed.{eighth}"] = self._decayed(eighth)
            restore(self.model, self.optimizer, state)
        return dict.fromkeys((name for name in self.history if name.startswith("val_")), 0.0)

    def _value(self, eighth: int) -> float:
        """Of the model's weights, as a search has it after an eighth."""
        if eighth == PARTS:
            return self.accuracy(self.validation)
        answers = logits(self.model, self.images, self.early).argmax(axis=1)
        return float(np.mean(answers == self.labels[self.early]))

    def _decayed(self, eighth: int) -> float:
        done = self.plan.steps_before(self.epoch + 1)
        over = max(1, round(DECAY * done))
        self.cycle.leave(done, over)
        given = (self.images, self.labels, self.chosen, self.batch, self.plan.input_spec.classes)
        recipe = self.plan.recipe
        feed = StreamFeed(
            *given,
            seed=self.plan.seed,
            strength=recipe.augmentation,
            flip=self.plan.flip,
            first=done,
            count=over,
        )
        self.fitted.fit(feed, verbose=0, shuffle=False)
        self.cycle.go_back()
        return self._value(eighth)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.set_defaults(out=TABLES)
    parser.add_argument("--data", required=True)
    parser.add_argument("--name", required=True, help="of the table, which is its file's")
    parser.add_argument("--space", default="cnn")
    parser.add_argument("--rows", type=int, default=250)
    parser.add_argument("--only", type=int, nargs="+", metavar="ROW", help="these rows alone")
    parser.add_argument("--length", default="2.5TFLOP", help="training FLOPs a row (default: %(default)s)")
    parser.add_argument("--images", type=int, default=2500, help="to train on (default: %(default)s)")
    parser.add_argument("--unseen", type=int, default=10_000, help="for true (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the trainings (default: %(default)s)")
    parser.add_argument("--near", action="store_true", help="draw around the default")
    parser.add_argument("--copies", action="store_true", help="have decayed copies, too")
    parser.add_argument("--share", default="0/1", help="K/N: every Nth row from row K on")
    asked = parser.parse_args(arguments)
    dataset = prepare(asked.data)
    options = RunOptions.given(study="table", data=asked.data, space=asked.space, images=asked.images)
    config = dataclasses.replace(
        new_config(options, dataset),
        length=round(parse_compute("--length", asked.length)),
        training_images=asked.images,
    )
    path = asked.out / f"{asked.name}.csv"
    first, shares = map(int, asked.share.split("/"))
    there = {(row["row"], row["seed"]) for row in read_rows(path)}
    for number in (asked.only or range(asked.rows))[first::shares]:
        if (str(number), str(asked.seed)) not in there:
            found = configuration(config, number, asked.near)
            row = make_row(config, dataset, found, number, asked.seed, asked.unseen, asked.copies)
            append_row(path, row)
            print(
                ", ".join(f"{name} {value:.4g}" for name, value in row.items() if "." not in name), flush=True
            )


def make_row(
    config: StudyConfig, dataset: Dataset, found: Proposal, number: int, seed: int, unseen: int, copies: bool
) -> dict[str, Any]:
    """Train one configuration: its row of the table."""
    plan = TrainingPlan(
        space=config.space,
        params=found.params,
        recipe=found.recipe,
        input_spec=config.input_spec,
        dataset=str(dataset.folder),
        validation=config.validation,
        images=config.images,
        split_seed=0,
        seed=1000 * seed + number,
        epochs=PARTS,
    )
    plan = set_length(plan, config.length, found.cost.flops, config.training_images)
    training = Watched(plan, copies)
    left = np.setdiff1d(np.arange(len(training.labels)), plan.split(dataset).all)
    true = np.sort(np.random.default_rng(0).permutation(left)[:unseen])
    if len(true) < unseen:
        raise SystemExit(f"error: --unseen {unseen}: only {len(true)} training images are left for it")
    training.run()
    return {
        "row": number,
        "seed": seed,
        **{f"param.{name}": value for name, value in found.params.items()},
        "flops": found.cost.flops,
        "parameters": found.cost.parameters,
        "batch": training.batch,
        "steps": plan.steps,
        # What a copy that is trained on costs on average, as a share of a whole training.
        **({"decay_share": DECAY / 2} if copies else {}),
        **dict(sorted(training.found.items())),
        "true": training.accuracy(true),
    }


def configuration(config: StudyConfig, number: int, near: bool) -> Proposal:
    """The configuration of a row, which is the same for whoever asks."""
    space = spaces.load(config.space)
    if number == 0:
        trial = optuna.trial.FixedTrial(space.first(config.input_spec)[0])
        return propose(space, trial, config.input_spec)
    for found in (_near if near else _drawn)(config, space, number):
        if not violations(config, found.cost, found.recipe):
            return found
    raise AssertionError("drawn without end")


def _drawn(config: StudyConfig, space: Any, number: int) -> Iterator[Proposal]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=number))
    while True:
        yield propose(space, study.ask(), config.input_spec)


def _near(config: StudyConfig, space: Any, number: int) -> Iterator[Proposal]:
    chance, default = random.Random(number), space.first(config.input_spec)[0]

    def give(name: str, distribution: optuna.distributions.BaseDistribution) -> Any:
        return default[name] if chance.random() < SAME else around(chance, distribution, default[name])

    while True:
        yield propose(space, Draw(give), config.input_spec)


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("search").setLevel(logging.WARNING)
    main()
