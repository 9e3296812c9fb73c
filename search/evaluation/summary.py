"""``summary.json``: the flat facts of an export, with no path or host name of the machine it was made on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.config import StudyConfig
from search.errors import StudyStopped
from search.evaluation.backbone import sentence as over_backbone
from search.evaluation.baseline import sentence
from search.evaluation.curves import History
from search.evaluation.fold_words import fold_figures, fold_sentence
from search.evaluation.scored import Scored
from search.evaluation.scores import Scores
from search.evaluation.words import calibration_of, fit_of, ledger, words
from search.folds import at_kept_epoch

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

# The exported file's validation figure may differ by so much from the trial's: other batches round otherwise.
SAME_VALUE = 2e-3
SAME_VALUE_GPU = 2e-2


@dataclass(frozen=True)
class Training:
    """The training run whose weights are exported: the search trial's own, or the refit's.

    Attributes:
        refit: Whether it is a refit on all training images.
        images: Images trained on; 0 for those of the search's split.
        epochs: Epochs run.
        kept: The epoch, from 1, whose weights are exported.
        seconds: Time it took.
        history: Curves, one entry an epoch.
        facts: ``flops``, ``parameters``, ``seed``, ``batch_size``, ``versions``, ``backend``, ``device``,
            ``threads``.
    """

    refit: bool
    images: int
    epochs: int
    kept: int
    seconds: float
    history: History
    facts: Mapping[str, Any]


def validation_figures(trial: "FrozenTrial") -> tuple[float, float]:
    """Validation accuracy and loss of the search trial, at the epoch whose weights it kept; means over its folds."""
    return at_kept_epoch(trial, "val_accuracy"), at_kept_epoch(trial, "val_loss")


def check_value(config: StudyConfig, value: float | None, validation: Scores, device: str) -> None:
    """The exported file must score what the search recorded for the trial.

    On a GPU the search computes in bfloat16 where the file is in float32, so more may differ there.

    Raises:
        StudyStopped: It does not; the file is not that of the weights that scored.
    """
    figures = {"accuracy": validation.accuracy, "macro_f1": validation.macro_f1, "loss": validation.loss}
    found = figures[config.metric]
    allowed = max(SAME_VALUE if device == "cpu" else SAME_VALUE_GPU, 2 / len(validation.labels)) * max(
        1.0, abs(value or 0.0)
    )
    if value is not None and not abs(found - value) <= allowed:
        raise StudyStopped(
            f"the kept weights score a validation {config.metric} of {found:.4f} where the trial recorded "
            f"{value:.4f}; nothing exported: pass --refit to train its configuration again"
        )


def summarise(
    config: StudyConfig,
    trial: "FrozenTrial",
    training: Training,
    scored: Scored,
    times_test_scored: int,
    raced: bool = False,
    backbone: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """All facts of one export.

    Args:
        config: The study's.
        trial: Of the search; after a race, as if it had been trained with the race's first seed.
        training: Where the exported weights come from.
        scored: The exported weights' outputs.
        times_test_scored: This scoring included.
        raced: Whether there was a race (``--confirm``).
        backbone: Of a net over a frozen one: see ``search.evaluation.backbone.facts_of``.
    """
    images = training.images or scored.train_images
    fit, calibration = fit_of(trial, scored), calibration_of(scored)
    facts = training.facts
    said = words(
        config.classes,
        scored.test,
        fit,
        calibration,
        trial.number if training.refit else None,
        "race" if raced else "search",
        config.folds,
    )
    if config.folds:
        said.append(fold_sentence(trial, config.folds, config.metric))
    if backbone:
        said.append(over_backbone(backbone, int(facts["parameters"])))
    said += [sentence(found, scored.test.accuracy) for found in scored.baselines.values()]
    return {
        "study": config.study,
        "trial": trial.number,
        "params": trial.user_attrs["params"],
        "metric": config.metric,
        "value": trial.value,
        **({"validation_note": _whose_validation(scored, images, raced)} if training.refit else {}),
        "words": [*said, ledger(times_test_scored)],
        **_figures(trial, training, scored),
        "fit": fit.figures(),
        "calibration": calibration.figures(),
        **({"baselines": scored.baselines} if scored.baselines else {}),
        **({"backbone": backbone, "cached_path": scored.cached} if backbone else {}),
        "refit": training.refit,
        "times_test_scored": times_test_scored,
        "train_images": images,
        "validation_images": len(scored.validation.labels),
        "test_images": len(scored.test.labels),
        "classes": len(config.classes),
        **_facts(config, training, _training_flops(training, images, backbone)),
        **(fold_figures(trial, config.folds) if config.folds else {}),
    }


def _whose_validation(scored: Scored, images: int, raced: bool) -> str:
    whose = "those of the race's first seed" if raced else "the search trial's"
    return (
        f"validation figures are {whose} ({scored.train_images} training images); the exported weights "
        f"were trained anew on all {images}, these {len(scored.validation.labels)} included"
    )


def _figures(trial: "FrozenTrial", training: Training, scored: Scored) -> dict[str, Any]:
    """What the weights score; after a refit on validation images those of the search."""
    validation, test = scored.validation, scored.test
    accuracy, loss = validation_figures(trial) if training.refit else (validation.accuracy, validation.loss)
    return {
        "validation_accuracy": accuracy,
        "validation_loss": loss,
        "test_accuracy": test.accuracy,
        "test_loss": test.loss,
        "test_accuracy_interval": list(test.accuracy_interval),
        "macro_f1": test.macro_f1,
    }


def _training_flops(training: Training, images: int, backbone: Mapping[str, Any] | None) -> int | None:
    """Of a head alone; what a second phase took, through the backbone, is not known."""
    if backbone and backbone["fine_tuned"]:
        return None
    return 3 * int(training.facts["flops"]) * images * training.epochs


def _facts(config: StudyConfig, training: Training, flops: int | None) -> dict[str, Any]:
    """How and on what the weights were trained."""
    facts = training.facts
    return {
        "epochs": training.epochs,
        "kept_epoch": training.kept,
        "seconds": round(training.seconds, 1),
        "training_flops": flops,
        **{name: facts.get(name) for name in ("flops", "parameters", "seed", "batch_size")},
        "data_fingerprint": config.fingerprint,
        "space": config.space,
        **{name: facts.get(name) for name in ("versions", "backend", "device", "threads")},
    }


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` for people and programs, non-ASCII names as they are."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
