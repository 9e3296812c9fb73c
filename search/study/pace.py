"""How long a study takes, by the pace of its first trial, before any trial has ended; and what would make it shorter.

A trial's pace is known a few steps after it has begun. Its whole length in images, divided by the images a second, is
how long it takes; the starts of trials and their validation are left out, and so is what pruning saves.
"""

from search.config.study_config import StudyConfig
from search.formatting import rough_duration
from spaces.contract import sides

# Sides in pixels that are worth a try; smaller ones cost as many times less as their area is smaller.
SIDES = (32, 48, 64, 80, 96, 128, 160, 192, 224)
# Below so many trials a search chooses between nothing.
LEAST_TRIALS = 2
# Seconds of a study up to which nobody wants it shorter, and from which on somebody may want it to end.
PATIENCE, LONG = 600.0, 3600.0


def pace_words(config: StudyConfig, trial: float, study: float | None, left: float | None = None) -> str:
    """How long a trial and the study take, in a sentence.

    Args:
        config: The study's.
        trial: Seconds of a whole trial.
        study: Seconds until the study has all its trials, if none is pruned; None where nothing says how many.
        left: Seconds until the ``--timeout`` of this command; None without one.
    """
    words = f"a trial takes about {rough_duration(trial)}"
    if study is not None:
        words += f", the study up to {rough_duration(study)}"
        words += " (less where trials end early)" if config.pruner != "none" else ""
    if left is not None:
        return f"{words}; --timeout ends it in {rough_duration(left)}"
    advice = shorter(config, study)
    if study is None or study > LONG:
        advice = ", ".join(filter(None, (advice, "--timeout 1h")))
    return f"{words}; shorter: {advice}" if advice and (study or LONG) > PATIENCE else words


def too_short(config: StudyConfig, trial: float, left: float, workers: int) -> str:
    """A warning that a command ends before two trials can have; empty where they can.

    Args:
        config: The study's.
        trial: Seconds of a whole trial.
        left: Seconds until the ``--timeout`` of this command.
        workers: Number of trials that run at a time.
    """
    if left >= trial * LEAST_TRIALS / max(1, min(workers, LEAST_TRIALS)):
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
