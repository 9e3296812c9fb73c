"""The first thing on the page: how good, how sure, on what, how large and fast, and what to do next."""

import shlex
from pathlib import Path

from search.exporting.backbone import whole_parameters
from search.exporting.preference import gap_words
from search.formatting import count, percent, si_units
from search.metrics.class_figures import class_figures, mean_of_defined
from search.metrics.generalization import ADVICE
from search.metrics.preference import ACCURATE
from search.reporting.elements import Tiles
from search.reporting.facts import Facts
from search.reporting.formatting import (
    DASH,
    interval_of_test,
    metric_value,
    percent_interval,
    percent_or_dash,
)
from search.reporting.trial_facts import TrialFacts
from search.study.prices import in_one_view, in_views

Tile = tuple[str, str, str]
# A class whose F1 is so much lower than the mean of all is one to look at.
WEAK = 0.1
LONGER, MORE_IMAGES = "Train longer", "Get more images"
NEXT = {"overfits": MORE_IMAGES, "under- and overfits": MORE_IMAGES, "underfits": LONGER}


def tiles(facts: Facts) -> Tiles:
    """A user's questions, each with its answer; then what the search was."""
    answers = (_how_good, _how_sure, _on_what, _how_large_and_fast, _what_next)
    return Tiles([*(answer(facts) for answer in answers), *_search(facts)])


def _how_good(facts: Facts) -> Tile:
    if facts.exported is not None:
        images = facts.exported.summary["test_images"]
        accuracy = percent_or_dash(facts.exported.summary["test_accuracy"])
        return "How good", accuracy, f"of {images:,} test images are classified right"
    return "How good", DASH, "not exported: the test images have not been scored"


def _how_sure(facts: Facts) -> Tile:
    if facts.exported is not None:
        interval = percent_interval(*interval_of_test(facts.exported.summary))
        return "How sure", interval, "with a probability of 95 %, on other images of the same kind"
    best = facts.priced[0] if facts.priced else None
    if best is None or best.error is None:
        return "How sure", DASH, "the noise of the best trial is not known"
    return (
        "How sure",
        f"± {gap_words(facts.config.metric, best.error)}",
        "one standard error of the best trial",
    )


def _on_what(facts: Facts) -> Tile:
    config = facts.config
    what = f"{count(len(config.classes), 'class', 'classes')}, {config.height}x{config.width} pixels"
    if images := facts.summary.get("train_images"):
        what += f"; trained on {images:,} images"
    return "On what", Path(config.data).name, what


def _how_large_and_fast(facts: Facts) -> Tile:
    name, known = "How large and fast", facts.known
    if "parameters" not in known:
        return name, DASH, "no net has been trained yet"
    views = in_one_view(facts.config) if facts.exported is None else in_views(known)
    parts = (
        [f"{si_units(float(known.get('flops') or 0), 'FLOP')} an image{views}"] if known.get("flops") else []
    )
    if facts.config.backbones and facts.exported is None:
        parts = [f"{part} in its head alone" for part in parts]
    elif known.get("milliseconds"):
        parts.append(f"{known['milliseconds']:g} ms in batches ({known.get('device') or 'measured'})")
    return name, si_units(whole_parameters(known)), ", ".join(["parameters", *parts])


def _what_next(facts: Facts) -> Tile:
    value, under = _next_step(facts)
    return "What to do next", value, under


def _next_step(facts: Facts) -> tuple[str, str]:
    """The one thing that is likeliest to help, with its command or why."""
    if facts.exported is None:
        done = len(facts.in_state("finished", "pruned"))
        if not facts.ranked or done < (facts.requested_trials or 0):
            return "Let it go on", facts.loaded.command("sweep" if facts.sweep is not None else "run")
        return "Export it", facts.loaded.command("export")
    verdict = (facts.exported.summary.get("fit") or {}).get("verdict", "")
    if facts.undecided:
        return MORE_IMAGES, "the trials differ by no more than chance"
    if verdict in NEXT:
        return NEXT[verdict], f"it {verdict}: {ADVICE[verdict]}"
    if weak := _weakest(facts):
        return f"Look at {weak[0]}", f"its F1 is {percent(weak[1])}, the mean of all {percent(weak[2])}"
    return "Try it", f"python -m search.demo --model {shlex.quote(str(facts.exported.folder))}"


def _weakest(facts: Facts) -> tuple[str, float, float] | None:
    """A class that is far behind the others: its name, its F1 and the mean."""
    matrix = None if facts.exported is None else facts.exported.matrix()
    if not matrix or len(matrix) != len(facts.config.classes):
        return None
    scores = class_figures(matrix).f1
    mean = float(mean_of_defined(scores))
    known = [
        (float(score), name)
        for score, name in zip(scores, facts.config.classes, strict=True)
        if score == score
    ]
    worst, name = min(known, default=(mean, ""))
    return (name, worst, mean) if worst < mean - WEAK else None


def _search(facts: Facts) -> list[Tile]:
    """What the validation images said, how many trials there were, how often the test images have been looked at."""
    ended = {state: len(facts.in_state(state)) for state in ("finished", "pruned", "failed", "refused")}
    refused = f", {ended['refused']:,} refused" if ended["refused"] else ""
    requested = f" of {facts.requested_trials:,}" if facts.requested_trials else ""
    others = facts.scored_by_others
    return [
        *([] if facts.subject is None else [_validation(facts, facts.subject)]),
        (
            "Trials",
            f"{ended['finished'] + ended['pruned']:,}{requested}",
            f"{ended['finished']:,} finished, {ended['pruned']:,} pruned; {ended['failed']:,} failed{refused}",
        ),
        (
            "Test images scored",
            count(len(facts.scorings) + others, "time"),
            f"{others:,} of them by other studies of the same images"
            if others
            else "in this study; each scoring is counted",
        ),
    ]


def _validation(facts: Facts, trial: TrialFacts) -> Tile:
    value, origin = trial.value, f"trial {trial.number}, by which it was chosen"
    summary = facts.summary
    race = summary.get("confirm")
    if summary.get("prefer", ACCURATE) != ACCURATE:
        origin = f"trial {trial.number}, chosen by it and by its cost"
    if summary.get("named"):
        origin = f"trial {trial.number}, which somebody has named (--trial)"
    if facts.passed_over is not None:
        origin = f"trial {trial.number}, the default, fixed before the search"
    if race:
        value = race["mean"]
        origin = f"trial {trial.number}, mean of {count(race['rounds'], 'fresh training')}"
    return f"Validation {facts.config.metric}", metric_value(facts.config.metric, value), origin
