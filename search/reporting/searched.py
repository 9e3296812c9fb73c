"""How the search went: its history, all learning curves, the best trials, failures, and every trial in a table."""

import re
from collections import Counter
from typing import Any

from search.reporting.blocks import Block, Chart, Rows, Section, Table, Text
from search.reporting.charts import draw_all_curves, draw_history
from search.reporting.figures import NONE, count, large, plain, scored
from search.reporting.study import Facts, Trial
from search.snapshot import duration

BEST = 10
# A table of more would be larger than all else together.
MOST_ROWS = 1000
MOST_REASONS = 30
OUTSIDE = "Values far outside are left out of the drawing, not of the table."


def search_section(facts: Facts) -> Section:
    """All trials."""
    config, trials = facts.config, facts.trials
    if not trials:
        return Section("search", "The search", [Text("No trial has been begun yet.", "note")])
    blocks: list[Block] = [Text(_how(facts))]
    step = "fold" if config.folds else "epoch"
    if any(trial.value is not None for trial in trials):
        label = _history_words(facts)
        blocks.append(
            Chart(
                draw_history(trials, config.metric, facts.minimize, label),
                "The search, trial by trial. A pruned trial stands where it was when it was ended, which is another "
                f"{step} than a finished one's. {OUTSIDE}",
            )
        )
    if any(trial.reports for trial in trials):
        best = facts.ranked[0].number if facts.ranked else None
        told = count(sum(bool(trial.reports) for trial in trials), "trial")
        label = f"Validation {config.metric} of {told} by {step}; pruned ones end early."
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
        (state, len(facts.of_state(state)))
        for state in ("finished", "pruned", "failed", "running", "waiting")
    ]
    said = ", ".join(f"{number:,} {state}" for state, number in states if number)
    wanted = f" of {facts.wanted:,} wanted" if facts.wanted else ""
    what = (
        "Every combination of the varied values was queued"
        if facts.sweep
        else (f"Sampler {config.sampler}, pruner {config.pruner}")
    )
    length = f"{count(config.epochs, 'epoch')} long"
    scores = f"scores validation {config.metric}, of exactly the weights that are kept"
    if config.folds:
        length = f"{config.folds} trainings of {count(config.epochs, 'epoch')}, one a fold,"
        scores = f"scores the folds' mean validation {config.metric}"
    stand = "was still running" if facts.of_state("running") else "was not running"
    return (
        f"{count(len(facts.trials), 'trial')}{wanted}: {said}. {what}; a trial is {length} and {scores}. "
        f"When this report was made, the study {stand}."
    )


def _history_words(facts: Facts) -> str:
    metric, ranked = facts.config.metric, facts.ranked
    if not ranked:
        return f"Validation {metric} by trial; none has finished."
    best, worst = ranked[0], ranked[-1]
    pruned, failed = (count(len(facts.of_state(state)), f"{state} one") for state in ("pruned", "failed"))
    return (
        f"Validation {metric} by trial: {count(len(ranked), 'finished trial')} from {scored(metric, worst.value)} to "
        f"{scored(metric, best.value)}, the best being trial {best.number}; {pruned} and {failed}."
    )


def _best(facts: Facts) -> list[Block]:
    if not facts.ranked:
        return []
    shown = facts.ranked[:BEST]
    names = list(dict.fromkeys(name for trial in shown for name in trial.params))
    rows: Rows = [
        [
            trial.number,
            scored(facts.config.metric, trial.value),
            str(trial.epochs),
            _size(trial, "parameters", ""),
            _size(trial, "flops", "FLOP"),
            *(plain(trial.params[name]) if name in trial.params else NONE for name in names),
        ]
        for trial in shown
    ]
    head = ["trial", f"validation {facts.config.metric}", "epochs", "parameters", "an image", *names]
    return [Table(f"The {count(len(shown), 'best finished trial')}", head, rows)]


def _size(trial: Trial, name: str, unit: str) -> str:
    found = trial.said.get(name)
    return NONE if found is None else large(float(found), unit).strip()


def _ends_of_trials(facts: Facts) -> list[Block]:
    """Why trials were pruned or failed, like reasons together."""
    blocks: list[Block] = []
    for state, caption in (("pruned", "Why trials were pruned"), ("failed", "Why trials failed")):
        reasons: Counter[str] = Counter()
        numbers: dict[str, list[int]] = {}
        for trial in facts.of_state(state):
            reason = str(trial.said.get("reason") or "no reason was recorded")
            reasons[reason] += 1
            numbers.setdefault(reason, []).append(trial.number)
        if not reasons:
            continue
        # Epochs in their order, not 10 before 2.
        ordered = sorted(reasons.items(), key=lambda pair: (-pair[1], _natural(pair[0])))
        rows: Rows = [
            [reason, f"{number:,}", ", ".join(map(str, numbers[reason][:8])) + (" …" if number > 8 else "")]
            for reason, number in ordered[:MOST_REASONS]
        ]
        more = (
            f" (the {MOST_REASONS} most frequent of {len(ordered)} reasons)"
            if len(ordered) > MOST_REASONS
            else ""
        )
        blocks.append(Table(caption + more, ["reason", "trials", "which"], rows, words=(2,)))
    return blocks


def _natural(text: str) -> list[Any]:
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part
    ]


def _all(facts: Facts) -> Table:
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
            scored(facts.config.metric, trial.value),
            str(trial.epochs),
            duration(float(trial.said["seconds"])) if "seconds" in trial.said else NONE,
            *(plain(trial.params[name]) if name in trial.params else NONE for name in names),
        ]
        for trial in trials
    ]
    head = ["trial", "state", f"validation {facts.config.metric}", "epochs", "training", *names]
    return Table(caption, head, rows, words=(1,), folded=True)


def _running(facts: Facts) -> list[Block]:
    """What is in training now, as its workers last said."""
    rows: Rows = []
    for trial in facts.of_state("running"):
        life = facts.frozen[trial.number].system_attrs.get("life", {})
        rows.append(
            [
                trial.number,
                f"{max(trial.epochs, int(life.get('epoch') or 0))} of {life.get('epochs') or facts.config.epochs}",
                scored(facts.config.metric, trial.value),
                str(life.get("device") or NONE),
            ]
        )
    if not rows:
        return []
    return [
        Table(
            "In training when this was made",
            ["trial", "epoch", f"validation {facts.config.metric}", "device"],
            rows,
            words=(3,),
        )
    ]
