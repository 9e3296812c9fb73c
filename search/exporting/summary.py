"""``summary.json``: the flat facts of an export, with no path or host name of the machine it was made on."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from search.config.study_config import StudyConfig
from search.exporting.assessment import assess_calibration, assess_fit
from search.exporting.backbone import backbone_sentence
from search.exporting.child_training import TrainingResult
from search.exporting.fold_words import fold_figures, fold_sentence, mean_of_folds_sentence
from search.exporting.race import Race
from search.exporting.race_words import race_sentences
from search.exporting.scoring_result import ScoringResult
from search.exporting.sentences import ledger_sentence, others_sentence, result_sentences, without_sentence
from search.formatting import figure, metric_words
from search.metrics.baselines import baseline_sentence
from search.metrics.classification import Scores
from search.study.fold_results import at_kept_epoch

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from search.exporting.request import ExportRequest


def summarise(
    request: "ExportRequest",
    training: TrainingResult,
    scored: ScoringResult,
    times_test_scored: int,
    by_others: int = 0,
    backbone: Mapping[str, Any] | None = None,
    flops: int | None = None,
) -> dict[str, Any]:
    """All facts of one export.

    Args:
        request: What is exported.
        training: The training whose weights are exported.
        scored: The scores of these weights.
        times_test_scored: How often the test images have been scored, this time included.
        by_others: How often of these by other studies of the same images.
        backbone: Of a net over a frozen backbone, see ``search.exporting.backbone.backbone_facts``.
        flops: Operations of one image's forward pass through the whole net; None for those that its space has said.
    """
    config, trial, race, without = request.loaded.config, request.trial, request.race, request.without
    images = training.images or scored.train_images
    fit, calibration = assess_fit(trial, scored), assess_calibration(scored)
    where = "race" if race and not config.folds else "search"
    refit_of = trial.number if training.refit else None
    tested = test_value(config, scored.as_exported(scored.test))
    results = result_sentences(config.classes, scored.test, fit, calibration, refit_of, where, config.folds)
    further = _further_sentences(config, trial, training, scored, tested, backbone)
    beyond = [
        *([others_sentence(by_others)] if by_others else ()),
        *([without_sentence(without)] if without else ()),
    ]
    raced = race_sentences(race, training.refit) if race else []
    return {
        "study": config.study,
        "study_uid": request.loaded.paths.uid,
        "trial": trial.number,
        "params": trial.user_attrs["params"],
        "metric": config.metric,
        "value": trial.value,
        "test_value": tested,
        **({"validation_note": _validation_note(scored, images, where)} if training.refit else {}),
        **_sentences(config, scored, times_test_scored, results, further, beyond, raced),
        **_scores(config, trial, training, scored, race),
        "fit": fit.figures(),
        "calibration": calibration.figures(),
        "mistakes": scored.calibrated.described(scored.mistakes.indices, scored.name, config.classes),
        **({"baselines": scored.baselines} if scored.baselines else {}),
        **({"backbone": backbone, "cached_path": scored.cached_path} if backbone else {}),
        **({"without": list(without)} if without else {}),
        **({"calibrated": True} if scored.baked else {}),
        "refit": training.refit,
        "times_test_scored": times_test_scored,
        **({"times_scored_by_others": by_others} if by_others else {}),
        "train_images": images,
        "validation_images": len(scored.validation.labels),
        "test_images": len(scored.test.labels),
        "classes": len(config.classes),
        **_training_facts(config, training, _training_flops(training, images, backbone)),
        **({} if flops is None else {"flops": flops}),
        **({"milliseconds": scored.milliseconds} if scored.milliseconds else {}),
        **(fold_figures(trial, config.folds, scored.out_of_fold is not None) if config.folds else {}),
        **({"out_of_fold": scored.out_of_fold.figures(config.classes)} if scored.out_of_fold else {}),
        **({"confirm": race.figures()} if race else {}),
    }


def test_value(config: StudyConfig, test: Scores) -> float | None:
    """The study's metric of the test images; None where it has no meaning, as the recall of a class without any."""
    value = test.figure(config.metric, config.classes)
    return value if math.isfinite(value) else None


def how_trained(summary: Mapping[str, Any]) -> str:
    """How the exported weights were trained other than in the search; empty where they are the search's own."""
    if summary.get("refit"):
        return "retrained on all training images"
    if summary.get("confirm"):
        return "retrained with another seed"
    return "fine-tuned" if (summary.get("backbone") or {}).get("fine_tuned") else ""


def _sentences(
    config: StudyConfig,
    scored: ScoringResult,
    times_test_scored: int,
    results: Sequence[str],
    further: Sequence[str],
    beyond: Sequence[str],
    raced: Sequence[str],
) -> dict[str, list[str]]:
    """All sentences of an export, and those that its command prints."""
    found, ledger = scored.out_of_fold, ledger_sentence(times_test_scored)
    return {
        "headline": [
            results[0],
            *(found.headline(config.classes) if found else ()),
            *([ledger] if times_test_scored > 1 else ()),
            *beyond,
            *raced[:2],
        ],
        "words": [
            *results,
            *(found.sentences(config.classes) if found else ()),
            *further,
            ledger,
            *beyond,
            *raced,
        ],
    }


def _further_sentences(
    config: StudyConfig,
    trial: "FrozenTrial",
    training: TrainingResult,
    scored: ScoringResult,
    tested: float | None,
    backbone: Mapping[str, Any] | None,
) -> Sequence[str]:
    """The sentences that only some exports have: on folds, on the backbone, on baselines."""
    sentences = [fold_sentence(trial, config.folds, config.metric)] if config.folds else []
    if heads := training.facts.get("mean_of_folds"):
        sentences.append(mean_of_folds_sentence(heads))
    if config.metric not in ("accuracy", "macro_f1", "loss"):  # These are said of every export.
        found = (
            "no test image is of this class" if config.metric != "auc" else "all test images are of one class"
        )
        if tested is not None:
            found = f"{figure(config.metric, tested)} on the test images"
        sentences.append(f"By the metric that ranked the trials, {metric_words(config.metric)}: {found}.")
    if backbone:
        sentences.append(backbone_sentence(backbone, int(training.facts["parameters"])))
    return sentences + [baseline_sentence(found, scored.test.accuracy) for found in scored.baselines.values()]


def _validation_note(scored: ScoringResult, images: int, where: str) -> str:
    whose = "those of the race's first seed" if where == "race" else "the search trial's"
    return (
        f"validation figures are {whose} ({scored.train_images} training images); the exported weights "
        f"were retrained on all {images}, these {len(scored.validation.labels)} included"
    )


def _scores(
    config: StudyConfig,
    trial: "FrozenTrial",
    training: TrainingResult,
    scored: ScoringResult,
    race: Race | None,
) -> dict[str, Any]:
    """What the weights score; after a refit the validation figures are of those that were not trained on these images.

    They are the search's as it recorded them; after a race the winner's of the first seed, on all images of the race.
    Where the exported files have the temperature inside, all of them are at that temperature.
    """
    test = scored.as_exported(scored.test)
    validation: Scores | None = scored.as_exported(scored.validation)
    unseen = scored.out_of_fold.scores if scored.out_of_fold else scored.unseen
    if training.refit:
        validation = scored.as_exported(unseen) if race and unseen and not config.folds else None
    if validation is None:
        accuracy, loss = at_kept_epoch(trial, "val_accuracy"), at_kept_epoch(trial, "val_loss")
        if scored.baked and unseen:
            loss = scored.as_exported(unseen).loss
        validated: dict[str, Any] = {"validation_accuracy": accuracy, "validation_loss": loss}
    else:
        validated = {
            "validation_accuracy": validation.accuracy,
            "validation_loss": validation.loss,
            "validation_macro_f1": validation.macro_f1,
            "validation_value": test_value(config, validation),
        }
    return {
        **validated,
        "test_accuracy": test.accuracy,
        "test_loss": test.loss,
        "test_accuracy_interval": list(test.accuracy_interval),
        "macro_f1": test.macro_f1,
    }


def _training_flops(training: TrainingResult, images: int, backbone: Mapping[str, Any] | None) -> int | None:
    """FLOPs of the training; what a second phase took, through the backbone, is not known."""
    if backbone and backbone["fine_tuned"]:
        return None
    return int(training.facts.get("compute", 3 * training.facts["flops"] * images * training.epochs))


def _training_facts(config: StudyConfig, training: TrainingResult, flops: int | None) -> dict[str, Any]:
    """How and on what the weights were trained."""
    facts = training.facts
    return {
        "epochs": training.epochs,
        "unit": training.unit,
        "kept_epoch": training.kept_epoch,
        "seconds": round(training.seconds, 1),
        "training_flops": flops,
        **{name: facts.get(name) for name in ("flops", "parameters", "seed", "batch_size")},
        **({"mean_of_folds": facts["mean_of_folds"]} if "mean_of_folds" in facts else {}),
        "data_fingerprint": config.fingerprint,
        "space": config.space,
        **{name: facts.get(name) for name in ("versions", "backend", "device", "threads")},
    }
