"""The words that every screen has for how a study stands."""

from collections.abc import Mapping
from typing import Any

from search.formatting import EPOCH, REFUSED, WORDS, count, duration, score, trained
from search.study.snapshot import Ended, Running, Snapshot, is_at_once

# Of the columns with the fields of ``StartedWorker``.
STARTED_HEADS = ("started", "state", "", "log")


def headline(snapshot: Snapshot) -> str:
    """How many trials are finished, pruned and failed, of how many, and how long it may still take."""
    finished, pruned, failed = (snapshot.count(state) for state in WORDS.values())
    of = f" of {snapshot.wanted}" if snapshot.wanted is not None else " trials"
    text = (
        f"{snapshot.study}: {finished + pruned}{of} ({finished} finished, {pruned} pruned), {failed} failed"
    )
    refused = snapshot.count(REFUSED)
    text += f", {refused} refused" if refused else ""
    text += f", {snapshot.waiting} waiting" if snapshot.waiting else ""
    lost = sum(trial.lost for trial in snapshot.running)
    text += f", {lost} lost by {'its worker' if lost == 1 else 'their workers'}" if lost else ""
    left = snapshot.seconds_left
    # Where no trial has been pruned yet; of those that were fitted at once nobody knows how many there will be.
    bound = snapshot.trial_seconds is not None and not any(map(is_at_once, snapshot.ended))
    about = "up to about" if bound else "about"
    return f"{text}, {about} {duration(left)} left" if left else text


def best_line(snapshot: Snapshot) -> str:
    """The best trial so far, with its score and its params."""
    best = snapshot.best
    if best is None:
        return "none of the ended trials is complete" if snapshot.ended else "no trial has finished yet"
    return f"best {snapshot.metric} {score(best.value)}, trial {best.number}: {words(best.params)}"


def ended_line(trial: Ended, metric: str, unit: str = EPOCH) -> str:
    """One line about an ended trial."""
    if trial.state == REFUSED:
        return f"trial {trial.number} refused ({trial.reason}), not trained: {words(trial.params)}"
    # "pruned (pruned after epoch 1)" would say it twice.
    why = f" ({trial.reason})" if trial.reason and not trial.reason.startswith(trial.state) else ""
    length = trained(trial.epochs, unit)
    if trial.folds:
        in_all = f", {count(trial.epochs, unit)} in all" if unit == EPOCH else ""
        length = f"{count(trial.folds, 'fold')}{in_all}"
    seconds = trial.whole_seconds or trial.seconds
    return (
        f"trial {trial.number} {trial.state}{why}: {metric} {score(trial.value)}, {length}, {duration(seconds)}, "
        f"{words(trial.params)}"
    )


def running_heads(metric: str, unit: str = EPOCH) -> tuple[str, ...]:
    """The heads of the columns that ``running_cells`` fills."""
    return ("worker", "device", "trial", unit, metric, "images/s", "time left", "seen")


def running_cells(trial: Running) -> tuple[str, ...]:
    """Worker, device, trial, epoch, value, images a second, time left and age of the last sign of life, as text."""
    epoch = f"{trial.epoch}/{trial.epochs}" if trial.epochs else "starts"
    if trial.features is not None:
        epoch = f"features {100 * trial.features:.0f} %"
    elif trial.fold:
        epoch = f"{epoch}, fold {trial.fold}"
    rate = f"{trial.images_per_second:,.0f}" if trial.images_per_second else "-"
    left = duration(trial.seconds_left) if trial.seconds_left is not None else "-"
    seen = f"{duration(round(trial.silent))} ago" if trial.silent is not None else "-"
    seen = f"lost, {seen}" if trial.lost else seen
    return (
        trial.worker or "-", trial.device or "-", str(trial.number), epoch, score(trial.value), rate, left, seen
    )  # fmt: skip


def words(params: Mapping[str, Any]) -> str:
    """Sampled values as a person reads them."""
    shown = (f"{value:.3g}" if isinstance(value, float) else str(value) for value in params.values())
    return ", ".join(f"{name}={value}" for name, value in zip(params, shown, strict=True))
