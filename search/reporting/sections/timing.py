"""The section on time: waiting, sampling, starting, training and storing, as the workers recorded it."""

from datetime import datetime

from search.execution.time_spent import PARTS
from search.formatting import count, duration, si_units
from search.reporting.elements import Bar, Block, Cell, Rows, Section, Table, Text
from search.reporting.facts import Facts
from search.reporting.trial_facts import in_utc
from search.study.compute import compute_of
from search.study.fold_results import SPENT

MEANS = {
    "waiting": "for a trial to claim, for the lock under which trials are counted, and at first for the libraries",
    "sampling": "drawing a configuration and recording it",
    "starting": "from there to the child's first message: process, images, net",
    "features": "a backbone's, computed once for all trials",
    "training": "epochs, with their validation and checkpoints",
    "storing": "what the training waited for the database and the pruner's verdict, and the end of the trial before",
}


def time_section(facts: Facts) -> Section:
    """The workers' time by what they did, and how long the study took by the clock."""
    title = "What the time went to"
    timed = [trial for trial in facts.trials if trial.recorded.get(SPENT)]
    rest = [trial for trial in facts.trials if not trial.recorded.get(SPENT) and trial.state != "waiting"]
    blocks: list[Block] = []
    if timed:
        sums = {part: sum(float(trial.recorded[SPENT].get(part, 0.0)) for trial in timed) for part in PARTS}
        whole = sum(sums.values()) or 1.0
        sums = {part: seconds for part, seconds in sums.items() if part != "features" or seconds}
        rows: Rows = [_share(part, seconds, whole) for part, seconds in sums.items()]
        rows.append(["together", Bar("100.0 %", 1.0), duration(whole)])
        caption = f"Time of all workers together, on {count(len(timed), 'trial')}"
        blocks.append(Table(caption, ["part", "share", "time"], rows))
        blocks.append(
            Text(
                " ".join(f"{part.capitalize()}: {MEANS[part]}." for part in sums)
                + " What a worker did before it was killed, and its waiting after its last trial, is in no row: nobody "
                "was left to record it.",
                "note",
            )
        )
    if rest:
        blocks += _untimed(facts, bool(timed))
    if not facts.trials:
        blocks.append(Text("No trial has been begun yet.", "note"))
    else:
        blocks.append(_by_the_clock(facts))
    return Section("time", title, blocks)


def _share(part: str, seconds: float, whole: float) -> list[Cell]:
    """A row: a part of the time, its share and its length."""
    return [part, Bar(f"{100 * seconds / whole:.1f} %", seconds / whole), duration(seconds)]


def _untimed(facts: Facts, others: bool) -> list[Block]:
    """What is known of trials whose workers recorded no parts: their begin, their end and their epochs.

    Args:
        facts: Of the study.
        others: Whether there are trials with parts beside them.
    """
    known = [
        (float(trial.recorded["seconds"]), trial.seconds)
        for trial in facts.in_state("finished", "pruned")
        # A trial that was interrupted began several times; the database has the last.
        if not trial.recorded.get(SPENT)
        and trial.seconds is not None
        and 0 < trial.recorded.get("seconds", 0.0) <= trial.seconds
    ]
    if not known:
        which = "the other trials" if others else "the trials"
        return [Text(f"Where the time of {which} went was not recorded.", "note")]
    training, whole = sum(pair[0] for pair in known), sum(pair[1] for pair in known)
    rows: Rows = [_share("training", training, whole), _share("all else", whole - training, whole)]
    caption = f"{count(len(known), 'trial')} whose workers recorded only the epochs, from begin to end"
    return [
        Table(caption, ["part", "share", "time"], rows),
        Text("All else is starting, sampling and storage, which were not told apart then.", "note"),
    ]


def _by_the_clock(facts: Facts) -> Table:
    rows: Rows = []
    begun = [moment for trial in facts.frozen if (moment := in_utc(trial.datetime_start))]
    ended = [moment for trial in facts.frozen if (moment := in_utc(trial.datetime_complete))]
    if begun and ended:
        first, last = min(begun), max(ended)
        rows.append(["first trial begun", _moment(first)])
        rows.append(["last trial ended", _moment(last)])
        rows.append(["from one to the other, pauses included", duration((last - first).total_seconds())])
    workers = {str(trial.recorded["worker"]) for trial in facts.trials if "worker" in trial.recorded}
    if workers:
        rows.append(["workers that took part", f"{len(workers):,}"])
    again = sum(int(trial.system_attrs.get("interruptions", 0)) for trial in facts.frozen)
    rows.append(["interruptions (killed, stopped, given back)", f"{again:,}"])
    rows.append(
        [
            "compute of all trials (three forward passes a training image, one a validated view)",
            si_units(compute_of(facts.frozen), "FLOP"),
        ]
    )
    if facts.exported is not None and facts.exported.how_trained:
        seconds = float(facts.exported.summary.get("seconds", 0.0))
        rows.append(["training of the exported weights, after the search", duration(seconds)])
    return Table("By the clock", ["what", "figure"], rows)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
