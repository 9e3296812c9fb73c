"""What the dashboard shows of a study: what it searches, its data, the best so far, its export, how to take part."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from search.errors import InputError
from search.formatting import metric_words, si_units
from search.metrics.preference import Priced, front
from search.process.fork_server import ForkServer
from search.study.class_balance import split_counts
from search.study.length import length_words
from search.study.prices import Prices, default_number, operations_words
from search.study.study import LoadedStudy
from search.templates.loader import environment
from search.web.attachments import address, artifacts_of, draw_in_child, leave
from search.web.notes import read_note, write_note
from search.web.picture_names import SAMPLES
from search.web.trial_page import plain
from spaces import is_model
from storage.errors import DatabaseGone

logger = logging.getLogger(__name__)

COST = "cost.png"
# Of an export: what its test images came to, in the order in which it is shown.
EXPORTED = {
    "confusion_matrix.png": "Confusion matrix on the test images",
    "mistakes.png": "The most confident mistakes on the test images",
    COST: "What the finished trials score in validation, by operations, parameters and time",
    "classification_report.txt": "",
}
EXPORT = "dashboard_export"
MOST_CLASSES = 50
MOST_OF_FRONT = 10
OURS = "Written by the search, and anew at every best trial: to keep your own words here, delete this line."


def feed_study(study: LoadedStudy, server: ForkServer) -> None:
    """Leave the study's note and a picture of sample images, when a command opens it."""
    try:
        if SAMPLES not in artifacts_of(study):
            _leave_samples(study, server)
    except DatabaseGone:
        raise
    except Exception as error:  # As with a trial's: it concerns the picture alone.
        logger.warning(f"no samples for the dashboard: {error!r}"[:300])
    _write(study)


def feed_best(study: LoadedStudy, number: int) -> None:
    """Rewrite the study's note if the trial that has just finished is the best so far, or worth what it costs."""
    ranked = study.ranked()
    if ranked and (ranked[0].number == number or number in {net.number for net in _worth(study, ranked)}):
        _write(study)


def feed_export(study: LoadedStudy, folder: Path, summary: Mapping[str, Any], report: str) -> None:
    """Leave what an export found on the test images.

    Args:
        study: The open study.
        folder: The folder of the export.
        summary: The contents of ``summary.json``.
        report: The classification report as a person reads it.
    """
    small = len(study.config.classes) <= MOST_CLASSES
    words = {"words": list(summary["words"]), "report": report if small else ""}
    try:
        for name in EXPORTED:
            if name != COST or (folder / name).is_file():  # There is none where all trials cost the same.
                leave(study, folder / name)
        study.optuna.set_user_attr(EXPORT, words)
        _write(study)
    except Exception as error:  # Whatever it is, the export itself is whole.
        logger.warning(f"the dashboard does not show the export: {error!r}"[:300])


def _write(study: LoadedStudy) -> None:
    """Write the note, unless a person has made it theirs; under a lock, for another trial may become the best."""

    def write() -> None:
        before = read_note(study.storage, study.study_id)
        note = study_note(study)
        if note != before and (OURS in before or not before):
            write_note(study.storage, study.study_id, note)

    study.storage.exclusively(f"note {study.study_id}", write)


def study_note(study: LoadedStudy) -> str:
    """A study in plain words, as Markdown, from what its database has now."""
    config, attributes = study.config, study.optuna.user_attrs
    metric = metric_words(config.metric)
    ranked = study.ranked()
    left = artifacts_of(study)
    exported = attributes.get(EXPORT)
    if exported is not None:
        exported = {
            **exported,
            "pictures": {
                alt: address(study, left[name]) for name, alt in EXPORTED.items() if alt and name in left
            },
        }
    first = next((trial for trial in ranked if trial.number == 0), None)
    best = None
    if ranked:
        settings = {
            name.replace("_", " "): plain(value)
            for name, value in ranked[0].user_attrs.get("params", {}).items()
        }
        best = {"number": ranked[0].number, "value": ranked[0].value, "settings": settings}
    return (
        environment()
        .get_template("study_note.md")
        .render(
            config=config,
            metric=metric,
            purpose=_purpose(study, metric),
            best=best,
            baseline=first.value if first is not None and ranked[0].number != 0 else None,
            exported=exported,
            costs=_costs(study, ranked),
            operations=operations_words(config),
            ranges=_ranges(study),
            data=_data(study),
            counts=_counts(study),
            samples=address(study, left[SAMPLES]) if SAMPLES in left else "",
            commands=_commands(study),
            ours=OURS,
        )
    )


def _purpose(study: LoadedStudy, metric: str) -> str:
    config = study.config
    best = "the lowest" if config.direction == "minimize" else "the best"
    length = length_words(config) + (f" in each of {config.folds} folds" if config.folds else "")
    kind = "the models of" if is_model(config.space) else "space"
    over = f" over {', '.join(one.name for one in config.backbones)}" if config.backbones else ""
    return (
        f"Searches {kind} {config.space}{over} for {best} {metric} on validation images: {study.wanted} trials of up "
        f"to {length}, sampled by {config.sampler}, pruned by {config.pruner}, seed {config.seed}. No trial sees the "
        "test images."
    )


def _costs(study: LoadedStudy, ranked: Sequence[FrozenTrial]) -> list[tuple[str, ...]]:
    """The trials that are worth what they cost, the cheapest first, in words; none where all cost the same."""
    found = _worth(study, ranked)
    default = default_number(study.optuna.get_trials(deepcopy=False))
    return [
        (
            f"{net.number}{' (the default)' if net.number == default else ''}",
            f"{net.value:.4f}" + ("" if net.error is None else f" ± {net.error:.4f}"),
            "" if net.flops is None else si_units(net.flops, "FLOP"),
            si_units(net.parameters),
            "" if net.milliseconds is None else f"{net.milliseconds:g} ms",
        )
        for net in sorted(found, key=lambda net: net.cost)
    ]


def _worth(study: LoadedStudy, ranked: Sequence[FrozenTrial]) -> list[Priced]:
    """The trials that are worth what they cost, and the default; none where all cost the same."""
    prices = Prices(study)
    nets = prices.of(ranked)
    if len({net.cost for net in nets}) < 2:
        return []
    found = front(nets, lambda net: net.cost[0], lower_is_better=prices.lower_is_better)[-MOST_OF_FRONT:]
    default = default_number(study.optuna.get_trials(deepcopy=False))
    return found + [net for net in nets if net.number == default and net not in found]


def _ranges(study: LoadedStudy) -> dict[str, str]:
    """The range of each parameter, as far as trials have sampled it."""
    found: dict[str, str] = {}
    for trial in study.optuna.get_trials(deepcopy=False):
        for name, distribution in trial.distributions.items():
            found.setdefault(name.replace("_", " "), _words(distribution))
    return found


def _words(distribution: optuna.distributions.BaseDistribution) -> str:
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return ", ".join(plain(choice) for choice in distribution.choices)
    if not isinstance(
        distribution, optuna.distributions.IntDistribution | optuna.distributions.FloatDistribution
    ):
        return str(distribution)
    text = f"{plain(distribution.low)} to {plain(distribution.high)}"
    if distribution.log:
        return f"{text}, on a logarithmic scale"
    step = distribution.step
    return text if step is None or step == 1 else f"{text} in steps of {plain(step)}"


def _data(study: LoadedStudy) -> str:
    config = study.config
    text = f"{Path(config.data).name}: {len(config.classes)} classes, {config.width}x{config.height} pixels"
    return f"{text}, {'grey' if config.channels == 1 else 'colour'}."


def _counts(study: LoadedStudy) -> dict[str, list[int]]:
    """Images of each class in each split; empty where there are too many classes for a table."""
    if len(study.config.classes) > MOST_CLASSES:
        return {}
    try:
        return split_counts(study.config, study.dataset())
    except InputError:  # The images are not on this host.
        return {}


def _commands(study: LoadedStudy) -> dict[str, str]:
    return {
        "Join it, from any host that reaches its database:": study.command("worker"),
        "See who works on it:": study.command("status"),
        "Stop a worker with Ctrl-C: its trial is given back, nothing is lost. Go on:": study.command(
            "worker"
        ),
        "Export the best trial, which scores the test images and is counted:": study.command("export"),
        "Write a report, one HTML file:": study.command("report"),
    }


def _leave_samples(study: LoadedStudy, server: ForkServer) -> None:
    config = study.config
    payload = {
        "dataset": str(study.dataset().folder),
        "classes": config.classes,
        "validation": 0.0 if config.folds else config.validation,
        "images": config.images,
        "seed": config.seed,
        "race": config.race_images,
    }
    with tempfile.TemporaryDirectory() as folder:
        log = study.paths.folder / "logs" / "pictures.log"
        for path in draw_in_child(server, Path(folder), log, payload):
            leave(study, path)
