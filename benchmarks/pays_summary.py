"""What the rows of ``pays.py`` come to: differences with their intervals, and ratios of errors."""

import math
from collections.abc import Mapping, Sequence
from statistics import geometric_mean, mean, stdev
from typing import Any

from record import markdown

# What is compared: ours, then its rival.
PAIRS = (
    ("exported", "default"),
    ("raw", "default"),
    ("exported", "default_all"),
    ("exported", "random"),
)
CONFIDENCE = 0.95
NUMBERS = ("compute", "seconds")


def summarise(rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """For each pair: the mean difference of each set, and over all sets the mean one and the ratio of errors."""
    sets: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        sets.setdefault(row["set"], []).append(row)
    pairs = []
    for ours, rival in PAIRS:
        each = {name: compare(there, ours, rival) for name, there in sets.items()}
        pairs.append(
            {
                "ours": ours,
                "rival": rival,
                "sets": each,
                "mean_difference": mean(one["mean"] for one in each.values()),
                "geometric_mean_of_error_ratios": geometric_mean(one["error_ratio"] for one in each.values()),
                "worst_error_ratio": max(one["error_ratio"] for one in each.values()),
            }
        )
    return {
        "commits": sorted({row["commit"] for row in rows}),
        "confidence": CONFIDENCE,
        "pairs": pairs,
        "sets": {name: _facts(there) for name, there in sets.items()},
    }


def compare(rows: Sequence[Mapping[str, str]], ours: str, rival: str) -> dict[str, Any]:
    """The difference of accuracies over the repetitions of a set, and the ratio of the mean errors.

    An error of 0 counts as half a mistake in all repetitions together, so that there is a ratio.
    """
    first, second = ([float(row[name]) for row in rows] for name in (ours, rival))
    least = 0.5 / sum(int(row["scored_on"]) for row in rows)
    errors = [max(least, 1 - mean(side)) for side in (first, second)]
    return {**difference(first, second), "error_ratio": errors[0] / errors[1]}


def difference(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, Any]:
    """Mean of the paired differences, with its t interval; one difference has none."""
    from scipy.stats import t

    each = [one - other for one, other in zip(ours, theirs, strict=True)]
    middle, interval = mean(each), None
    if len(each) > 1:
        half = float(t.ppf((1 + CONFIDENCE) / 2, len(each) - 1)) * stdev(each) / math.sqrt(len(each))
        interval = [middle - half, middle + half]
    return {"each": each, "mean": middle, "interval": interval}


def as_markdown(figures: Mapping[str, Any]) -> str:
    """The summary for people, in percentage points."""
    sets, pairs = figures["sets"], figures["pairs"]
    accuracies = ["exported", "raw", "default", "default_all", "random"]
    head = [
        "set",
        "repetitions",
        *accuracies,
        "TFLOP a search",
        "of default_all",
        "of random",
        "minutes",
        "GFLOP/s",
    ]
    table = [
        [
            name,
            one["repetitions"],
            *(f"{100 * one['accuracy'][side]:.2f}" for side in accuracies),
            *(f"{one['compute'][side] / 1e12:.3g}" for side in ("exported", "default_all", "random")),
            f"{one['seconds']['exported'] / 60:.1f}",
            f"{one['gflops']:.0f}",
        ]
        for name, one in sets.items()
    ]
    compared = [
        [f"{pair['ours']} - {pair['rival']}", name, points(one), f"{one['error_ratio']:.3f}"]
        for pair in pairs
        for name, one in [*pair["sets"].items(), ("all", _over_all(pair))]
    ]
    return (
        f"Mean accuracies (%) over the repetitions; code {', '.join(figures['commits'])}. How: `pays.py`.\n\n"
        f"{markdown(head, table)}\n\n"
        "Differences in percentage points, with 95 % intervals over repetitions; over all sets, their mean and the "
        f"geometric mean of the ratios of errors.\n\n"
        f"{markdown(['difference', 'set', 'points', 'ratio of errors'], compared)}\n"
    )


def _over_all(pair: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "mean": pair["mean_difference"],
        "interval": None,
        "error_ratio": pair["geometric_mean_of_error_ratios"],
    }


def points(one: Mapping[str, Any]) -> str:
    """A difference in percentage points, with its interval where there is one."""
    between = one["interval"]
    within = "" if between is None else f" ({100 * between[0]:+.2f} to {100 * between[1]:+.2f})"
    return f"{100 * one['mean']:+.2f}{within}"


def _facts(rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    sides = list(dict.fromkeys(side for pair in PAIRS for side in pair))

    def means(prefix: str) -> dict[str, float]:
        return {side: mean(float(row[f"{prefix}{side}"]) for row in rows) for side in sides}

    return {
        "repetitions": len(rows),
        "accuracy": means(""),
        **{name: means(f"{name}.") for name in NUMBERS},
        "gflops": mean(float(row["gflops"]) for row in rows),
    }
