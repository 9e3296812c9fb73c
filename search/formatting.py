"""Durations, percentages, scores and counts in words: one way to write each, for every screen and page."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from search.config.value_types import EIGHTH as EIGHTH
from search.config.value_types import EPOCH as EPOCH


class Passing(str):
    """A line that tells how far a long step is, and that the next line takes the place of.

    A terminal shows it in one place; a file or a pipe gets it where nothing else was said for a while.
    """

    passing = True


# The space between a figure and its unit.
BEFORE_UNIT = re.compile(
    r"(?<=\d) (?=(?:%|ms|s|min|h|days?|points?|[kMGTP](?:i?B|FLOPs?)?|FLOPs?|[kMGT]iB)(?!\w))"
)
WORDS = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}
# A PRUNED trial that was never trained, see ``storage.claims.is_refused``.
REFUSED = "refused"


def axis_of(unit: str) -> str:
    """What a curve's points lie at: ``epoch``, or ``eighth of the compute``."""
    return f"{unit} of the compute" if unit == EIGHTH else unit


def trained(epochs: int, unit: str) -> str:
    """How long a training was: ``12 epochs``, ``its whole compute``, ``2 eighths of its compute``."""
    if unit == EIGHTH:
        return "its whole compute" if epochs == 8 else f"{count(epochs, unit)} of its compute"
    return count(epochs, unit)


def duration(seconds: float) -> str:
    """``45 s``, ``3 min 20 s``, ``1 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 and seconds != whole else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def ago(seconds: float) -> str:
    """``45 s``, ``3 min 20 s``, ``5 h``, ``12 days``."""
    if seconds < 3600:
        return duration(round(seconds))
    hours = round(seconds / 3600)
    return f"{hours} h" if hours < 48 else f"{round(seconds / 86_400)} days"


def rough_duration(seconds: float) -> str:
    """A duration that is an estimate: ``2 s``, ``45 s``, ``4 min``, ``2 h 10 min``; at the least a second."""
    step = 1 if seconds < 10 else 5 if seconds < 120 else 60 if seconds < 3600 else 600
    whole = max(step, step * round(seconds / step))
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def score(value: float | None) -> str:
    """A metric's value, or a dash."""
    return "-" if value is None else f"{value:.4f}"


def metric_words(metric: str) -> str:
    """A metric's name in words: ``macro f1``, ``recall of hot_dog``."""
    kind, _, name = metric.partition(":")
    return f"{kind.replace('_', ' ')}{f' of {name}' if name else ''}"


def is_share(metric: str) -> bool:
    """Whether a metric is a share of images, which is read in percent; the others are scores and losses."""
    return metric.partition(":")[0] in ("accuracy", "balanced_accuracy", "recall")


def figure(metric: str, value: float) -> str:
    """A metric's value as pictures and pages write it: ``97.5 %`` of a share of images, else ``0.9746``."""
    return percent(value) if is_share(metric) else f"{value:.4f}"


def percent(fraction: float) -> str:
    """A fraction as a person reads it, to a tenth; never 100.0 % for less than all."""
    shown = f"{100 * fraction:.1f}"
    return f"{'99.9' if shown == '100.0' and fraction < 1 else shown} %"


def unbroken(text: str) -> str:
    """A text in which no figure is parted from its unit where a page breaks its lines: ``97.5 %`` stays whole."""
    return BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", text)


def percent_range(low: float, high: float) -> str:
    """An interval of fractions, to a tenth of a percent: ``95.3 to 98.7``."""
    return f"{100 * low:.1f} to {100 * high:.1f}"


def accuracy_words(accuracy: float, interval: tuple[float, float], images: int) -> str:
    """``97.5 % of 360 images are classified right (95 % interval 95.3 to 98.7, Wilson)``."""
    return (
        f"{percent(accuracy)} of {images:,} images are classified right (95 % interval {percent_range(*interval)}, "
        "Wilson)"
    )


def si_units(number: float, unit: str = "") -> str:
    """A large number with the prefix of its power: ``406 kFLOP``, ``190 TFLOP``, ``1.2 M``."""
    shown = float(f"{number:.3g}")  # Before the prefix is chosen: 999,500 is 1 M.
    for power, prefix in ((15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if shown >= 10**power:
            return f"{shown / 10**power:.3g} {prefix}{unit}"
    return f"{number:g} {unit}".strip()


def flops(amount: float) -> str:
    """An amount of compute, such as ``0.7 PFLOP`` or ``45 GFLOP``."""
    for prefix, size in (("P", 1e15), ("T", 1e12), ("G", 1e9)):
        if amount >= 0.1 * size:
            return f"{amount / size:,.3g} {prefix}FLOP"
    return f"{amount / 1e6:,.3g} MFLOP"


def count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: ``1 trial``, ``12 trials``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def often(number: int) -> str:
    """A number of times: ``once``, ``12 times``."""
    return "once" if number == 1 else count(number, "time")


def escaped(name: str) -> str:
    r"""The name of a file in UTF-8: bytes in it that are none are written as escapes, such as ``\xff``."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def shorten(text: str, most: int) -> str:
    """A text cut to at most so many letters, of which the last is then an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def shorten_apart(texts: Sequence[str], most: int) -> list[str]:
    """Texts cut to at most so many letters; those that would then be the same are cut in the middle."""
    cut = [shorten(text, most) for text in texts]
    tail = (most - 1) // 2
    return [
        f"{text[: most - 1 - tail]}…{text[-tail:]}" if len(text) > most and cut.count(short) > 1 else short
        for text, short in zip(texts, cut, strict=True)
    ]


def shorten_path(path: str, most: int) -> str:
    """A file's name without its folders, cut to at most so many letters: its end tells it from others like it."""
    name = path.rpartition("/")[2]
    return name if len(name) <= most else "…" + name[1 - most :]


def plain_value(value: Any) -> str:
    """A parameter's value: ``0.0003162``, ``64``, ``relu``."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def describe(values: Mapping[str, Any]) -> str:
    """Varied values in words: ``filters=16, dense_width=64``."""
    return ", ".join(f"{name}={value}" for name, value in values.items())


def rank(value: Any) -> tuple[int, float, str]:
    """A key to sort varied values by: numbers by size, then words by letter."""
    return (0, float(value), "") if isinstance(value, int | float) else (1, 0.0, str(value))
