"""How long a study takes, by the pace of its first trial, before any trial has ended; and what would make it shorter.

A trial's pace is known a few steps after it has begun. What is left out is what pruning saves.
"""

from search.config.study_config import StudyConfig
from search.formatting import count, rough_duration
from search.study.time_left import TimeLeft
from spaces.contract import sides

# Sides in pixels that are worth a try; smaller ones cost as many times less as their area is smaller.
SIDES = (32, 48, 64, 80, 96, 128, 160, 192, 224)
# Below so many trials a search chooses between nothing.
LEAST_TRIALS = 2
# Seconds of a study up to which nobody wants it shorter, and from which on somebody may want it to end.
PATIENCE, LONG = 600.0, 3600.0


def pace_words(config: StudyConfig, time: TimeLeft, ends_in: float | None = None) -> str:
    """How long a trial and the study take, in a sentence; empty where the pace of no trial is known.

    Args:
        config: The study's.
        time: How long the study may still take.
        ends_in: Seconds until the ``--timeout`` of this command; None without one.
    """
    if time.trial is None:
        return ""
    study = time.owed
    words = f"a trial takes about {rough_duration(time.trial)}"
    if time.at_once is not None:
        words += f", or {rough_duration(time.at_once)} where its head is fitted at once"
    if study is not None:
        words += f", the study {'up to' if time.at_once is None else 'about'} {rough_duration(study)}"
    if time.paid is not None:
        words += f", since --budget pays for about {count(max(1, round(time.paid)), 'trial')}"
    elif study is not None and time.at_once is None and config.pruner != "none":
        words += " (less where trials end early)"
    if ends_in is not None:
        return f"{words}; --timeout ends it in {rough_duration(ends_in)}"
    advice = shorter(config, study)
    if study is None or study > LONG:
        advice = ", ".join(filter(None, (advice, "--timeout 1h")))
    return f"{words}; shorter: {advice}" if advice and (study or LONG) > PATIENCE else words


def too_short(config: StudyConfig, trial: float, left: float, workers: int, finished: int = 0) -> str:
    """A warning that a command ends before the study has two trials; empty where it can have them.

    Args:
        config: The study's.
        trial: Seconds of a whole trial.
        left: Seconds until the ``--timeout`` of this command.
        workers: Number of trials that run at a time.
        finished: Number of trials that have finished already.
    """
    owed = max(0, LEAST_TRIALS - finished)
    if left >= trial * owed / max(1, min(workers, owed)):
        return ""
    advice = shorter(config, None)
    return (
        f"a trial takes about {rough_duration(trial)}, and --timeout ends the search in {rough_duration(left)}, "
        f"before {LEAST_TRIALS} trials can finish, so that it chooses between nothing; allow more"
        f"{f', or try {advice}' if advice else ''}"
    )


def shorter(config: StudyConfig, study: float | None) -> str:
    """What makes a study shorter, in words; empty over a backbone, where trials are short."""
    if config.backbones:
        return ""
    high, wide = sides(config.stored_size or f"{config.height}x{config.width}")
    less = [side for side in SIDES if side**2 < 0.6 * high * wide]
    words = "a --backbone"
    if less:
        takes = "" if study is None else f" (about {rough_duration(study * less[-1] ** 2 / (high * wide))})"
        words = f"--image-size {less[-1]}{takes} or {words}"
    return f"{words} under another --study name"
