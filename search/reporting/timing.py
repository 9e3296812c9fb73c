"""What the time went to: waiting, starting, training, storage, as the workers noted it."""

from datetime import datetime

from search.reporting.blocks import Bar, Block, Rows, Section, Table, Text
from search.reporting.figures import count, large
from search.reporting.study import Facts
from search.snapshot import duration
from search.spent import PARTS, SPENT
from search.study import compute_of

MEANS = {
    "waiting": "for a trial to claim, and for the lock under which trials are counted",
    "sampling": "drawing a configuration and writing it down",
    "starting": "from there to the child's first word: process, images, features of a backbone, net; with the first "
    "trial the libraries, too",
    "training": "epochs, with their validation and checkpoints",
    "storing": "what the training waited for the database and the pruner's verdict, and the end of the trial before",
}


def time_section(facts: Facts) -> Section:
    """The workers' time by what they did, and how long the study took by the clock."""
    title = "What the time went to"
    noted = [trial for trial in facts.trials if trial.said.get(SPENT)]
    rest = [trial for trial in facts.trials if not trial.said.get(SPENT) and trial.state != "waiting"]
    blocks: list[Block] = []
    if noted:
        sums = {part: sum(float(trial.said[SPENT].get(part, 0.0)) for trial in noted) for part in PARTS}
        whole = sum(sums.values()) or 1.0
        rows: Rows = [
            [part, Bar(f"{100 * seconds / whole:.1f} %", seconds / whole), duration(seconds)]
            for part, seconds in sums.items()
        ]
        rows.append(["together", Bar("100 %", 1.0), duration(whole)])
        caption = f"Time of all workers together, on {count(len(noted), 'trial')}"
        blocks.append(Table(caption, ["part", "share", "time"], rows))
        blocks.append(
            Text(
                " ".join(f"{part.capitalize()}: {means}." for part, means in MEANS.items())
                + " What a worker did before it was killed, and its waiting after its last trial, is in no row: nobody "
                "was left to note it.",
                "note",
            )
        )
    if rest:
        blocks += _not_noted(facts, bool(noted))
    if not facts.trials:
        blocks.append(Text("No trial has been begun yet.", "note"))
    else:
        blocks.append(_by_the_clock(facts))
    return Section("time", title, blocks)


def _not_noted(facts: Facts, some: bool) -> list[Block]:
    """Of trials whose workers noted nothing: what can be said by their begin, end and epochs."""
    rest = [
        trial for trial in facts.trials if not trial.said.get(SPENT) and trial.state in ("finished", "pruned")
    ]
    timed = [
        (float(trial.said["seconds"]), trial.seconds)
        for trial in rest
        # One that was interrupted began several times; the database has the last.
        if trial.seconds is not None and 0 < trial.said.get("seconds", 0.0) <= trial.seconds
    ]
    if not timed:
        return [
            Text(
                "Where the time of "
                + ("the other trials" if some else "the trials")
                + " went was not noted.",
                "note",
            )
        ]
    training, whole = sum(pair[0] for pair in timed), sum(pair[1] for pair in timed)
    rows: Rows = [
        ["training", Bar(f"{100 * training / whole:.1f} %", training / whole), duration(training)],
        [
            "all else",
            Bar(f"{100 * (1 - training / whole):.1f} %", 1 - training / whole),
            duration(whole - training),
        ],
    ]
    caption = f"{count(len(timed), 'trial')} whose workers noted only the epochs, from begin to end"
    return [
        Table(caption, ["part", "share", "time"], rows),
        Text("All else is starting, sampling and storage, which were not told apart then.", "note"),
    ]


def _by_the_clock(facts: Facts) -> Table:
    rows: Rows = []
    begun = [trial.datetime_start for trial in facts.frozen if trial.datetime_start]
    ended = [trial.datetime_complete for trial in facts.frozen if trial.datetime_complete]
    if begun and ended:
        first, last = min(begun), max(ended)
        rows.append(["first trial begun", _moment(first)])
        rows.append(["last trial ended", _moment(last)])
        rows.append(["from one to the other, pauses included", duration((last - first).total_seconds())])
    workers = {str(trial.said["worker"]) for trial in facts.trials if "worker" in trial.said}
    if workers:
        rows.append(["workers that took part", f"{len(workers):,}"])
    again = sum(int(trial.system_attrs.get("interruptions", 0)) for trial in facts.frozen)
    rows.append(["interruptions (killed, stopped, given back)", f"{again:,}"])
    rows.append(
        ["compute of all trainings (three forward passes an image)", large(compute_of(facts.frozen), "FLOP")]
    )
    if facts.exported is not None and facts.exported.trained_anew:
        seconds = float(facts.exported.summary.get("seconds", 0.0))
        rows.append(["training of the exported weights, after the search", duration(seconds)])
    return Table("By the clock", ["what", "figure"], rows)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
