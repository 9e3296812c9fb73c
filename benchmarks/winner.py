"""Does the search find anything? A study's winner against its recipe's default (trial 0), trained anew at equal FLOPs.

Result, hardware, versions, number of runs: results/winner_STUDY.json.

Both are trained with the same seeds, in pairs; the one whose net costs less gets as many more epochs as make the
products of epochs and FLOPs agree. The test images stay sealed. Scored are

- where the study trained on a part of the images (``--images``): the training images that it left out, which neither
  its trials nor its choice have seen; trained on the study's own training images. The interval is over seeds of
  training, not over draws of the training images.
- else: a fresh fifth of the training images for each seed, trained on the other four. The choice was made on images
  that are among them, so the winner keeps some of the luck that made it win: a bias in its favour, made smaller
  by the fresh splits but not removed.

The difference is winner minus default in the study's metric, with a 95 % interval (paired t over the seeds).

    python benchmarks/winner.py --study NAME [--studies studies] [--seeds 3] [--epochs N]
"""

import dataclasses
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial
from record import make_parser, print_table, write_result

from search.data import split
from search.errors import InputError, StudyStopped, TrialFailed
from search.exporting.child_training import wait_until_done
from search.exporting.choice import choose_trial
from search.exporting.training_plans import refit_plan
from search.process.fork_server import ForkServer
from search.study.study import LoadedStudy, load_study
from search.training.plan import TrainingPlan

FIRST_SEED = 1_000_000  # Far from the splits of studies, whose seeds people choose small.
FRESH_VALIDATION = 0.2
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Side:
    """One of the two configurations.

    Attributes:
        name: ``winner`` or ``default``.
        trial: Its trial in the study.
        epochs: That make its FLOPs equal to the other's.
    """

    name: str
    trial: FrozenTrial
    epochs: int

    def flops(self, images: int) -> float:
        """Of one training: forward, and twice that backward."""
        return 3.0 * float(self.trial.user_attrs["flops"]) * images * self.epochs


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--study", required=True)
    parser.add_argument("--studies", type=Path, default=Path("studies"))
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each, at least 2")
    parser.add_argument("--epochs", type=int, help="of the costlier net (default: the study's)")
    asked = parser.parse_args(arguments)
    if asked.seeds < 2:
        parser.error("--seeds: expected at least 2, one gives no interval")
    try:
        loaded = load_study(asked.study, None, asked.studies)
        sides = sides_of(loaded, asked.epochs or loaded.config.epochs)
        unseen = unseen_by(loaded)
        with ForkServer(str(sides[0].trial.user_attrs["backend"])) as server:
            pairs = train_pairs(loaded, sides, unseen, asked.seeds, server)
    except (InputError, StudyStopped, TrialFailed) as error:
        raise SystemExit(f"error: {error}") from None
    figures = summarize(loaded, sides, unseen, pairs)
    _show(figures)
    print(write_result(f"winner_{loaded.config.study}", figures, asked.out))


def sides_of(loaded: LoadedStudy, longest: int) -> tuple[Side, Side]:
    """Winner and default, with the epochs that make their FLOPs agree."""
    winner, default = choose_trial(loaded, None), choose_trial(loaded, 0)
    if "fixed_params" not in default.system_attrs:
        raise InputError(
            f"--study {loaded.config.study}: its trial 0 was sampled; expected the space's own default"
        )
    if winner.number == default.number:
        raise InputError(
            f"--study {loaded.config.study}: its winner is the default itself, so the difference is 0; "
            "search on with more --trials, or say so"
        )
    most = max(float(trial.user_attrs["flops"]) for trial in (winner, default))
    epochs = [round(longest * most / float(trial.user_attrs["flops"])) for trial in (winner, default)]
    return Side("winner", winner, epochs[0]), Side("default", default, epochs[1])


def unseen_by(loaded: LoadedStudy) -> np.ndarray | None:
    """Indices of the training images that the study left out; None where they are too few to score on."""
    config, labels = loaded.config, loaded.dataset().train()[1]
    parts = split(labels, config.validation, config.images, config.seed)
    unseen = np.setdiff1d(np.arange(len(labels)), np.concatenate([parts.train, parts.validation]))
    return unseen if len(unseen) >= len(parts.validation) else None


def train_pairs(
    loaded: LoadedStudy, sides: Sequence[Side], unseen: np.ndarray | None, seeds: int, server: ForkServer
) -> list[dict[str, Any]]:
    """Train and score both sides once a seed."""
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            pair: dict[str, Any] = {"seed": seed}
            for side in sides:
                plan = _plan(loaded, side, seed, Path(folder) / "model.keras", fresh=unseen is None)
                pair[side.name] = _score(server, plan, side, unseen, Path(folder))
                print(f"seed {seed}, {side.name}: {pair[side.name]}", flush=True)
            pairs.append(pair)
    return pairs


def _plan(loaded: LoadedStudy, side: Side, seed: int, model: Path, *, fresh: bool) -> TrainingPlan:
    plan = dataclasses.replace(
        refit_plan(loaded, side.trial, side.epochs, model, None), full=False, seed=seed, checkpoint=None
    )
    if fresh:
        return dataclasses.replace(
            plan, validation=FRESH_VALIDATION, images=None, split_seed=seed, model=None
        )
    return plan


def _score(
    server: ForkServer, plan: TrainingPlan, side: Side, unseen: np.ndarray | None, folder: Path
) -> dict[str, Any]:
    """Train as planned; the scores on unseen images, or on the plan's own validation images."""
    log, threads = folder / "log.txt", int(side.trial.user_attrs.get("threads") or 0)
    with server.start("search.training.job:train", plan.to_payload(), log, threads) as child:
        done = wait_until_done(child, lambda message: True)  # One that diverges is found out by its scores.
    found = {name: values[-1] for name, values in done["history"].items() if name.startswith("val_")}
    if unseen is not None:
        chosen = folder / "unseen.npy"
        np.save(chosen, unseen)
        payload = {"model": plan.model, "dataset": plan.dataset, "chosen": str(chosen), "gpu_memory": None}
        with server.start("score_rest:score", payload, log, threads) as child:
            found = child.result()
    if not math.isfinite(found["val_loss"]):
        raise StudyStopped(f"the {side.name} (trial {side.trial.number}) diverged with seed {plan.seed}")
    return {
        **{name: found[name] for name in ("val_accuracy", "val_macro_f1", "val_loss")},
        "training_images": done["training_images"],
        "seconds": round(sum(done["history"]["seconds"]), 1),
    }


def difference(winner: Sequence[float], default: Sequence[float]) -> dict[str, Any]:
    """Mean of the paired differences, with its t interval."""
    from scipy.stats import t

    each = [ours - theirs for ours, theirs in zip(winner, default, strict=True)]
    half = float(t.ppf((1 + CONFIDENCE) / 2, len(each) - 1)) * stdev(each) / len(each) ** 0.5
    middle = mean(each)
    return {
        "each": each,
        "mean": middle,
        "interval": [middle - half, middle + half],
        "confidence": CONFIDENCE,
    }


def summarize(
    loaded: LoadedStudy, sides: Sequence[Side], unseen: np.ndarray | None, pairs: list[dict[str, Any]]
) -> dict[str, Any]:
    """The difference in the study's metric, and the facts of both sides."""
    config = loaded.config
    metric = "val_loss" if config.metric == "loss" else f"val_{config.metric}"
    values = {side.name: [pair[side.name][metric] for pair in pairs] for side in sides}
    images = pairs[0]["winner"]["training_images"]
    scored = (
        "a fresh fifth for each seed" if unseen is None else f"{len(unseen)} images that the study left out"
    )
    return {
        "settings": {"study": config.study, "metric": config.metric, "runs": len(pairs), "scored_on": scored},
        "better": "lower" if config.metric == "loss" else "higher",
        "winner_minus_default": difference(values["winner"], values["default"]),
        "flops_winner_to_default": sides[0].flops(images) / sides[1].flops(images),
        **{side.name: _facts(side, images, values[side.name]) for side in sides},
        "all": pairs,
    }


def _show(figures: dict[str, Any]) -> None:
    metric, found = figures["settings"]["metric"], figures["winner_minus_default"]
    rows = [
        (
            f"{name} (trial {side['trial']})",
            side["epochs"],
            f"{side['training_flops'] / 1e12:.3g}",
            f"{side['in_search']:.4f}",
            f"{side['mean']:.4f}",
        )
        for name, side in ((name, figures[name]) for name in ("winner", "default"))
    ]
    print_table(("", "epochs", "TFLOP a training", f"{metric} in search", "now, mean"), rows)
    low, high = found["interval"]
    runs = figures["settings"]["runs"]
    print(
        f"winner minus default: {found['mean']:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}, {runs} seeds"
    )


def _in_search(trial: FrozenTrial) -> float:
    """What it scored in the study: the last report, where it was pruned."""
    reports = trial.intermediate_values
    return float(trial.value if trial.value is not None else reports[max(reports)])


def _facts(side: Side, images: int, values: list[float]) -> dict[str, Any]:
    attributes = side.trial.user_attrs
    return {
        "trial": side.trial.number,
        "params": attributes["params"],
        "parameters": attributes["parameters"],
        "forward_flops": attributes["flops"],
        "epochs": side.epochs,
        "training_images": images,
        "training_flops": side.flops(images),
        "in_search": _in_search(side.trial),
        "mean": mean(values),
    }


if __name__ == "__main__":
    main()
