"""What an export came to in sentences: for ``summary.json``, the screen, the model card and the report."""

from collections.abc import Sequence
from functools import partial
from statistics import stdev
from typing import TYPE_CHECKING

import numpy as np

from search.exporting.assessment import Calibration
from search.exporting.preference import gap_words
from search.exporting.race import Race, Racer
from search.exporting.race_rule import COMPUTE_SHARE
from search.formatting import accuracy_words, count, figure, flops, metric_words, often, percent
from search.metrics.classification import Scores
from search.metrics.generalization import Fit
from search.metrics.preference import ACCURATE
from search.study.ending import can_race
from search.study.fold_results import FOLDS, mean_value

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


# Why a race that was not decided ended.
ENDS = {
    "rounds": "it had all of its rounds",
    "compute": f"another would take more than {percent(COMPUTE_SHARE)} of the search's compute",
}


def result_sentences(
    classes: Sequence[str],
    test: Scores,
    fit: Fit,
    calibration: Calibration,
    refit_of: int | None,
    where: str = "search",
    folds: int = 0,
) -> list[str]:
    """Test accuracy, over- or underfitting, and calibration.

    Args:
        classes: Names.
        test: Scores of the exported weights.
        fit: Of weights that have not seen the validation images.
        calibration: Of the exported weights.
        refit_of: Number of the trial that ``fit`` is of, where a refit is exported, else None.
        where: Where that trial was trained: in the ``search`` or in the ``race``.
        folds: Number of folds of that trial; 0 for none.
    """
    weakest = int(np.nanargmin(test.f1))
    # Where all classes have the same figure none is the lowest.
    differ = test.f1[weakest] < np.nanmax(test.f1)
    lowest = f", lowest for {classes[weakest]}, {test.f1[weakest]:.4f}" if differ else ""
    tested = (
        f"Test: {accuracy_words(test.accuracy, test.accuracy_interval, len(test.labels))}; macro F1 "
        f"{test.macro_f1:.4f}{lowest}{_without_figures(test, classes)}."
    )
    if refit_of is None:
        return [tested, fit.sentence, calibration.sentence]
    return [
        tested,
        f"In the {where}, trial {refit_of}{', mean over its folds' if folds else ''}: {fit.sentence}",
        f"{calibration.sentence}"
        + (f" Fitted on the outputs of trial {refit_of}." if not calibration.why_none else ""),
    ]


def _without_figures(test: Scores, classes: Sequence[str]) -> str:
    """Which classes macro F1 leaves out, since no test image is of them or was taken for one."""
    absent = [name for name, f1 in zip(classes, test.f1, strict=True) if np.isnan(f1)]
    if not absent:
        return ""
    named = f"{', '.join(absent[:5])}{', ...' if absent[5:] else ''}"
    return f" (without {named}: no test image is of {'it' if len(absent) == 1 else 'them'})"


def ledger_sentence(scorings: int) -> str:
    """How often the test images have been looked at: the more often, the less they are test images."""
    return f"The test images of this study have been scored {often(scorings)} (this one included)."


def others_sentence(scorings: int) -> str:
    """How many of the scorings were those of other studies."""
    if scorings == 1:
        return "One of these scorings was made by another study of the same images."
    return f"{scorings} of these scorings were made by other studies of the same images."


def without_sentence(without: Sequence[int]) -> str:
    """Which trials somebody has left out of the choice (``--without``)."""
    *most, last = map(str, without)
    named = f"trials {', '.join(most)} and {last} were" if most else f"trial {last} was"
    return f"By hand, {named} left out of the choice of the trial (--without)."


def fold_sentence(trial: "FrozenTrial", folds: int, metric: str) -> str:
    """The values of a trial's folds, for the refit that is exported of it."""
    values = fold_values(trial)
    if not values:
        return f"Folds: trial {trial.number} finished none of its {folds}."
    spread = f"; standard deviation {gap_words(metric, stdev(values))}" if len(values) > 1 else ""
    each = ", ".join(figure(metric, value) for value in values)
    return (
        f"Folds: trial {trial.number} has a validation {metric_words(metric)} of {figure(metric, fold_mean(trial))}, "
        f"the mean of {finished_folds(trial, folds)} ({each}{spread}); the exported net was trained on all of these "
        "images, so that it has no such value of its own."
    )


def mean_of_folds_sentence(heads: int) -> str:
    """What an exported mean of linear heads is."""
    return (
        f"The exported head comes of all training images: it is the mean of {heads} linear heads, each fitted on all "
        "images but those of one fold. A mean of linear heads is a linear head, which answers with the mean of their "
        "outputs."
    )


def fold_values(trial: "FrozenTrial") -> list[float]:
    """The value of each finished fold."""
    return [float(run["value"]) for run in trial.user_attrs.get(FOLDS, ())]


def fold_mean(trial: "FrozenTrial") -> float:
    """The mean value of the finished folds."""
    return mean_value(trial.user_attrs[FOLDS])


def finished_folds(trial: "FrozenTrial", folds: int) -> str:
    """``3 folds``, or ``1 of 3 folds`` of a trial that was pruned."""
    finished = len(fold_values(trial))
    return f"{folds} folds" if finished == folds else f"{finished} of {folds} folds"


def race_sentences(race: Race, refit: bool) -> list[str]:
    """Who won the race, whether others may be as good, what the search had promised, and what the race took.

    Args:
        race: The race.
        refit: Whether its winner was then trained on all training images.
    """
    decided = _decision(race) if race.default is None else _beside_default(race)
    return [words for words in (_winner(race), decided, _promise(race), _expense(race, refit)) if words]


def no_race_sentence(why: str, *, is_default: bool) -> str:
    """That the exported configuration has not been compared with the default, and why."""
    what = (
        "Exported is the default configuration" if is_default else "What is exported may be no better than it"
    )
    return f"No race was run against the default configuration: {why}. {what}."


def final_sentence(planned: float, given: float) -> str:
    """That the final training is longer than a trial, or was given what the time had left.

    Args:
        planned: FLOPs that make the passes of a trial.
        given: FLOPs that it takes.
    """
    if given > planned:
        return (
            f"The final training takes {flops(given)}, {given / planned:.1f} times the passes of a trial: of few "
            "images, or with what a budget or a time has left, a longer one is better."
        )
    why = "--timeout left no time for more"
    return f"The final training takes {flops(given)}: {flops(planned)} were planned, and {why}."


def _winner(race: Race) -> str:
    winner, metric = race.winner, race.config.metric
    spread = (
        "" if winner.deviation is None else f" (standard deviation {gap_words(metric, winner.deviation)})"
    )
    who, mean = f"the search's best {len(race.racers)} configurations", f"mean validation {metric}"
    if race.default is not None:
        who = f"{len(race.racers)} configurations, the default (trial {race.default}) among them"
    if can_race(race.config):
        images = "in folds dealt anew" if race.config.folds else "on images that no trial was ranked by"
        mean = f"mean {metric} {images}"
    by = f"has the best {mean}," if winner is race.most_accurate else f"is preferred, with a {mean} of"
    if race.default is not None:
        by = f"is chosen, with a {mean} of"
    long = f", {race.times:.2g} times as long as a trial," if race.times > 1 else ""
    text = (
        f"Race: of {who}, trained again{long} with the same seeds in {_rounds(race)}, trial {winner.trial.number} {by} "
        f"{figure(metric, winner.mean or 0.0)}{spread}"
    )
    if race.best is None:
        return f"{text}."
    if race.best == winner.trial.number:
        return f"{text}; it was the search's best, too."
    best = next((racer for racer in race.racers if racer.trial.number == race.best), None)
    before = "which did not race"
    if best is not None:
        before = "whose training diverged" if best.mean is None else f"which has {figure(metric, best.mean)}"
    return f"{text}; the search's best was trial {race.best}, {before}."


def _beside_default(race: Race) -> str:
    """Whether the default is exported; else by how much the exported configuration beats it, and how surely."""
    winner, gap = race.winner.trial.number, partial(gap_words, race.config.metric)
    if race.prefer != ACCURATE:
        ahead = race.advantage_of(winner)
        if winner == race.default or ahead is None:
            return "It is the default configuration." if winner == race.default else ""
        where = "ahead of" if ahead.gap >= 0 else "behind"
        return f"It is {gap(abs(ahead.gap))} {where} the default configuration (standard error {gap(ahead.error)})."
    if winner != race.default:
        ahead = race.advantage_of(winner)
        if ahead is None:
            return "The default configuration dropped out of the race."
        return (
            f"It is ahead of the default configuration by {gap(ahead.gap)} (standard error {gap(ahead.error)}), and by "
            f"{gap(ahead.shrunk)} when that is shrunk by its noise; the probability that it is better is "
            f"{percent(ahead.probability)}."
        )
    rivals = {racer.trial.number: race.advantage_of(racer.trial.number) for racer in race.racing}
    known = {number: ahead for number, ahead in rivals.items() if ahead is not None}
    if race.ended_because == "behind":
        return (
            f"Exported is the default configuration: after {_rounds(race)} none of the others was ahead of it, so that "
            "the race ended."
        )
    text = "Exported is the default configuration: none of those that have not dropped out is ahead of it"
    if not known:
        return f"{text}."
    best = max(known, key=lambda number: known[number].gap)
    behind = known[best]
    return f"{text}; trial {best} is {gap(abs(behind.gap))} behind, with a standard error of {gap(behind.error)}."


def _decision(race: Race) -> str:
    """Whether others may be as good; of one that is preferred though another is better there is nothing to decide."""
    if race.winner is not race.most_accurate:
        return ""
    others = [racer for racer in race.racing if racer is not race.winner]
    if not others:
        return f"The race is decided after {_rounds(race)}: all others have dropped out."
    *most, last = (
        f"trial {racer.trial.number} ({figure(race.config.metric, racer.mean or 0.0)})" for racer in others
    )
    named = f"{', '.join(most)} and {last}" if most else last
    return (
        f"The race is not decided: {named} may be as good; it ended after {_rounds(race)} because "
        f"{ENDS[race.ended_because]}."
    )


def _promise(race: Race) -> str:
    winner = race.winner
    if not winner.is_complete:
        return f"In the search trial {winner.trial.number} was pruned."
    more = shrinkage(race, winner) or 0.0
    better, metric = "better" if more >= 0 else "worse", race.config.metric
    return (
        f"In the search trial {winner.trial.number} had scored {figure(metric, winner.trial.value or 0.0)}, "
        f"{gap_words(metric, abs(more))} {better} than "
        "this mean; the search's values were selected for being good and do not count."
    )


def _expense(race: Race, refit: bool) -> str:
    what = f"Exported are the weights of its first seed, {race.seeds[0]}, as fixed before the race"
    if refit:
        what = "Exported is its configuration, trained once more on all training images"
    took = f"; the race took {percent(race.share)} of the search's compute" if race.share else ""
    return f"{what}{took}."


def _rounds(race: Race) -> str:
    return "one round" if len(race.seeds) == 1 else count(len(race.seeds), "round")


def shrinkage(race: Race, racer: Racer) -> float | None:
    """How much better its value in the search was than the mean of its fresh trainings; negative where it was worse.

    None where it has diverged, or was pruned.
    """
    if racer.mean is None or racer.trial.value is None or not racer.is_complete:
        return None
    more = racer.trial.value - racer.mean
    return -more if race.config.metric == "loss" else more
