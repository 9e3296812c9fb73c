"""The section on the search: its history, all learning curves, the best trials, failures, and all trials."""

import re
from collections.abc import Sequence
from typing import Any

from search.formatting import count, duration, plain_value, si_units
from search.metrics.preference import Priced
from search.plotting.study import draw_all_curves, draw_history
from search.reporting.elements import Block, Cell, Chart, Rows, Section, Table, Text
from search.reporting.facts import Facts
from search.reporting.formatting import DASH, metric_value
from search.reporting.trial_facts import TrialFacts
from search.study.length import length_words
from search.study.prices import operations_words

# Shown in the table of the best trials.
BEST = 10
# A table of more trials would be larger than all else together.
MOST_ROWS = 1000
MOST_REASONS = 30
OUTSIDE = "Values far outside are left out of the drawing, not of the table."


def search_section(facts: Facts) -> Section:
    """How the search went, and all its trials."""
    config, trials = facts.config, facts.trials
    if not trials:
        return Section("search", "The search", [Text("No trial has been begun yet.", "note")])
    blocks: list[Block] = [Text(_how(facts))]
    step = "fold" if config.folds else config.unit
    if any(trial.value is not None for trial in trials):
        label = _history_words(facts)
        blocks.append(
            Chart(
                draw_history(trials, config.metric, facts.minimize, label),
                "The search, trial by trial. A pruned trial stands where it was when it was ended, which is another "
                f"{step} than a finished one's. {OUTSIDE}",
            )
        )
    longest = max(len(trial.reports) for trial in trials)
    if longest == 1:
        blocks.append(Text(f"No trial has reported after more than one {step}: there are no curves.", "note"))
    if longest > 1:
        best = facts.ranked[0].number if facts.ranked else None
        reported = count(sum(bool(trial.reports) for trial in trials), "trial")
        label = f"Validation {config.metric} of {reported} by {step}; pruned ones end early."
        blocks.append(
            Chart(
                draw_all_curves(trials, best, config.metric, step, label),
                f"Every trial's curve on the validation images. {OUTSIDE}",
            )
        )
    blocks += [*_running(facts), *_best(facts), *_ends_of_trials(facts), _all(facts)]
    return Section("search", "The search", blocks)


def _how(facts: Facts) -> str:
    config = facts.config
    states = [
        (state, len(facts.in_state(state)))
        for state in ("finished", "pruned", "failed", "refused", "running", "waiting")
    ]
    by_state = ", ".join(f"{number:,} {state}" for state, number in states if number)
    requested = f" of {facts.requested_trials:,} requested" if facts.requested_trials else ""
    method = f"Sampler {config.sampler}, pruner {config.pruner}"
    if facts.sweep:
        method = "Every combination of the varied values was queued"
    whole = length_words(config)
    length = f"{whole} long"
    scores = f"scores validation {config.metric}, of exactly the weights that are kept"
    if config.folds:
        length = f"{config.folds} trainings of {whole}, one a fold,"
        scores = f"scores the folds' mean validation {config.metric}"
    running = "was still running" if facts.in_state("running") else "was not running"
    return (
        f"{count(len(facts.trials), 'trial')}{requested}: {by_state}. {method}; a trial is {length} and {scores}. "
        f"When this report was made, the study {running}."
    )


def _history_words(facts: Facts) -> str:
    metric, ranked = facts.config.metric, facts.ranked
    if not ranked:
        return f"Validation {metric} by trial; none has finished."
    low, high = (metric_value(metric, trial.value) for trial in (ranked[-1], ranked[0]))
    pruned, failed = (count(len(facts.in_state(state)), f"{state} one") for state in ("pruned", "failed"))
    return (
        f"Validation {metric} by trial: {count(len(ranked), 'finished trial')} from {low} to {high}, the best being "
        f"trial {ranked[0].number}; {pruned} and {failed}."
    )


def _best(facts: Facts) -> list[Block]:
    if not facts.ranked:
        return []
    shown = facts.ranked[:BEST]
    names = list(dict.fromkeys(name for trial in shown for name in trial.params))
    nets = {net.number: net for net in facts.priced}
    rows: Rows = [
        [
            trial.number,
            metric_value(facts.config.metric, trial.value),
            str(trial.epochs),
            *_size(nets.get(trial.number)),
            *_values(trial, names),
        ]
        for trial in shown
    ]
    head = [
        "trial",
        f"validation {facts.config.metric}",
        f"{facts.config.unit}s",
        "parameters",
        operations_words(facts.config),
        *names,
    ]
    return [Table(f"The {count(len(shown), 'best finished trial')}", head, rows)]


def _size(net: Priced | None) -> list[Cell]:
    """Parameters and operations, as in the section on costs; dashes where they are not known."""
    if net is None:
        return [DASH, DASH]
    return [si_units(net.parameters), DASH if net.flops is None else si_units(net.flops, "FLOP")]


def _values(trial: TrialFacts, names: Sequence[str]) -> list[Cell]:
    """The trial's values of these parameters."""
    return [plain_value(trial.params[name]) if name in trial.params else DASH for name in names]


def _ends_of_trials(facts: Facts) -> list[Block]:
    """Why trials were pruned, failed or refused, with equal reasons counted together."""
    blocks: list[Block] = []
    captions = {
        "pruned": "Why trials were pruned",
        "failed": "Why trials failed",
        "refused": "Why configurations were refused before training",
    }
    for state, caption in captions.items():
        by_reason: dict[str, list[int]] = {}
        for trial in facts.in_state(state):
            reason = str(trial.recorded.get("reason") or "no reason was recorded")
            by_reason.setdefault(reason, []).append(trial.number)
        if not by_reason:
            continue
        ordered = sorted(by_reason.items(), key=lambda pair: (-len(pair[1]), _natural(pair[0])))
        rows: Rows = [
            [
                reason,
                f"{len(numbers):,}",
                ", ".join(map(str, numbers[:8])) + (" …" if len(numbers) > 8 else ""),
            ]
            for reason, numbers in ordered[:MOST_REASONS]
        ]
        if len(ordered) > MOST_REASONS:
            caption += f" (the {MOST_REASONS} most frequent of {len(ordered)} reasons)"
        blocks.append(Table(caption, ["reason", "trials", "which"], rows, text_columns=(2,)))
    return blocks


def _natural(text: str) -> list[Any]:
    """A key to sort texts by, in which epoch 2 comes before epoch 10."""
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part
    ]


def _all(facts: Facts) -> Table:
    """Every trial; of very many the best finished ones, then others."""
    trials = list(facts.trials)
    caption = f"All {len(trials):,} trials"
    if len(trials) > MOST_ROWS:
        numbers = dict.fromkeys([trial.number for trial in (*facts.ranked, *trials)])
        chosen = set(list(numbers)[:MOST_ROWS])
        trials = [trial for trial in trials if trial.number in chosen]
        caption = f"{len(trials):,} of {len(facts.trials):,} trials, the best finished ones before others"
    names = list(facts.distributions)
    rows: Rows = [
        [
            trial.number,
            trial.state,
            metric_value(facts.config.metric, trial.value),
            str(trial.epochs),
            duration(float(trial.recorded["seconds"])) if "seconds" in trial.recorded else DASH,
            *_values(trial, names),
        ]
        for trial in trials
    ]
    head = [
        "trial",
        "state",
        f"validation {facts.config.metric}",
        f"{facts.config.unit}s",
        "training",
        *names,
    ]
    return Table(caption, head, rows, text_columns=(1,), collapsed=True)


def _running(facts: Facts) -> list[Block]:
    """What is in training now, as its workers last reported it."""
    rows: Rows = []
    for trial in facts.in_state("running"):
        life = facts.frozen[trial.number].system_attrs.get("life", {})
        rows.append(
            [
                trial.number,
                f"{max(trial.epochs, int(life.get('epoch') or 0))} of {life.get('epochs') or facts.config.epochs}",
                metric_value(facts.config.metric, trial.value),
                str(life.get("device") or DASH),
            ]
        )
    if not rows:
        return []
    return [
        Table(
            "In training when this was made",
            ["trial", facts.config.unit, f"validation {facts.config.metric}", "device"],
            rows,
            text_columns=(3,),
        )
    ]
