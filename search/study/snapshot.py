"""How a study stands at one moment, read from its database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from search.formatting import EPOCH, REFUSED, WORDS
from search.study.compute import spent_of, whole_compute
from search.study.fold_results import FOLDS, SPENT, TIE_BREAK, seconds_spent, tie_break
from search.study.pace import pace_words
from search.study.study import WANTED, LoadedStudy
from search.study.time_left import Cost, TimeLeft, time_left
from storage.claims import is_refused
from storage.liveness import HEARTBEAT, is_worker_dead

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial


# The attributes of a trial that a snapshot reads.
ATTRIBUTES = ("epochs", "seconds", "params", "reason", FOLDS, SPENT, TIE_BREAK)


@dataclass(frozen=True)
class Running:
    """A trial in training, as its worker last reported it; None stands for what has not been reported yet.

    Epochs are counted through all folds, if there are any. ``features`` is the share of the backbone's features that
    has been computed; None once the training has begun. ``lost`` says that its worker is gone or silent for longer than
    the grace: the next worker takes the trial over. ``whole_seconds`` is how long all of the trial takes: what it took
    so far, and the rest by its pace.
    """

    number: int
    worker: str
    epoch: int = 0
    epochs: int | None = None
    value: float | None = None
    images_per_second: float | None = None
    seconds_left: float | None = None
    host: str = ""
    device: str = ""
    silent: float | None = None
    features: float | None = None
    fold: int | None = None
    lost: bool = False
    whole_seconds: float | None = None


@dataclass(frozen=True)
class Ended:
    """A trial that has ended.

    ``state`` is finished, pruned, failed or refused (never trained), ``value`` the last value reported, ``folds`` the
    number of finished folds; ``epochs`` counts through all of them. ``whole_seconds`` are those of its workers, with
    the starts of its trainings and what was stored; 0 where they are not known.
    """

    number: int
    state: str
    value: float | None = None
    epochs: int = 0
    seconds: float = 0.0
    params: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    folds: int = 0
    whole_seconds: float = 0.0


@dataclass(frozen=True)
class StartedWorker:
    """A worker that an engine was asked to start, as the engine knows it.

    Attributes:
        name: The engine's name for it, such as that of a task of a job.
        state: ``waiting`` for its turn, ``running``, ``ended``, ``elsewhere`` (on a host that this one cannot look
            into), or ``unknown``, where the engine does not answer.
        detail: Where it runs, why it waits, the last line of one that has ended; empty where nothing is known.
        log: The file of what it prints.
    """

    name: str
    state: str
    detail: str = ""
    log: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A study at one moment.

    Attributes:
        study: Its name.
        metric: What ranks its trials.
        wanted: How many finished or pruned trials it shall have; None where only time or compute bounds it.
        ended: Its ended trials, by number.
        running: Its trials in training, by number.
        best: The best finished trial; None before there is one.
        seconds_left: An estimate (``search.study.time_left``); None while there is nothing to estimate from.
        unit: What the length of its trials is counted in.
        trial_seconds: What a whole trial takes by the pace of those in training; None once one has ended that was not
            fitted at once.
        pace: That in words, with what would make it shorter; empty where it is not known.
        waiting: Number of trials that are queued or requeued, which are claimed before new ones are made; 0 where the
            study has all that it shall have.
        started: The workers that engines were asked to start.
        exports: The exports at work on it, each in words.
    """

    study: str
    metric: str = "accuracy"
    wanted: int | None = None
    ended: Sequence[Ended] = ()
    running: Sequence[Running] = ()
    best: Ended | None = None
    seconds_left: float | None = None
    waiting: int = 0
    unit: str = EPOCH
    trial_seconds: float | None = None
    pace: str = ""
    started: Sequence[StartedWorker] = ()
    exports: Sequence[str] = ()

    def count(self, state: str) -> int:
        """How many trials ended as ``state``."""
        return sum(trial.state == state for trial in self.ended)


def read_snapshot(
    study: "optuna.Study",
    *,
    metric: str,
    wanted: int | None = None,
    training_images: int | None = None,
    now: float | None = None,
    grace: float | None = None,
    trials: "Sequence[FrozenTrial] | None" = None,
    unit: str = EPOCH,
) -> Snapshot:
    """Read how a study stands; nothing is written.

    Args:
        study: The study, opened by the process that shows it.
        metric: What ranks its trials.
        wanted: Number of finished trials that end the search.
        training_images: Images an epoch, from which the time left of a running trial is estimated.
        now: The time, by the clock of the signs of life.
        grace: Seconds of silence after which a worker is shown as lost; None shows none as lost.
        trials: The study's trials, with ``ATTRIBUTES``, if they have been read already.
        unit: What the length of its trials is counted in.
    """
    trials = study.get_trials(deepcopy=False) if trials is None else trials
    ended = [_ended(trial) for trial in trials if trial.state.name in WORDS]
    running = [
        _running(trial, training_images, now, grace) for trial in trials if trial.state.name == "RUNNING"
    ]
    scored = [trial for trial in ended if trial.state == "finished" and trial.value is not None]
    sign = 1 if study.direction.name == "MINIMIZE" else -1
    ties = {trial.number: tie_break(trial.user_attrs) for trial in trials}
    best = min(scored, key=lambda trial: (sign * (trial.value or 0.0), ties[trial.number]), default=None)
    waiting = sum(trial.state.name == "WAITING" for trial in trials)
    done = sum(trial.state not in ("failed", REFUSED) for trial in ended)
    if wanted is not None and done >= wanted:
        waiting = 0  # What is queued beyond that, nobody takes.
    found = Snapshot(study.study_name, metric, wanted, ended, running, best, waiting=waiting, unit=unit)
    left = _time_left(found, trials)
    return replace(found, seconds_left=left.left, trial_seconds=left.trial)


def take_snapshot(
    study: LoadedStudy,
    training_images: int | None = None,
    trials: "Sequence[FrozenTrial] | None" = None,
    ends_in: float | None = None,
    budget: float | None = None,
) -> Snapshot:
    """Read how an open study stands, for a screen; where the database is away, this fails at once.

    Args:
        study: The open study.
        training_images: See ``read_snapshot``.
        trials: See ``read_snapshot``.
        ends_in: Seconds until the ``--timeout`` of the command that works on it; None without one.
        budget: FLOPs that the study may take before that command ends the search; None for no bound.
    """
    view = study.view
    trials = view.get_trials(deepcopy=False) if trials is None else trials
    found = read_snapshot(
        view,
        metric=study.config.metric,
        wanted=view.user_attrs.get(WANTED),
        training_images=training_images,
        now=study.storage.now(),
        grace=study.storage.timeouts.grace,
        trials=trials,
        unit=study.config.unit,
    )
    left = _time_left(found, trials, None if budget is None else max(0.0, budget - spent_of(view, trials)))
    ends = left.left if ends_in is None or left.left is None else min(left.left, ends_in)
    return replace(found, seconds_left=ends, pace=pace_words(study.config, left, ends_in))


def _ended(trial: "FrozenTrial") -> Ended:
    reports = trial.intermediate_values
    last = reports[max(reports)] if reports else None
    return Ended(
        trial.number,
        REFUSED if is_refused(trial) else WORDS[trial.state.name],
        trial.value if trial.state.name == "COMPLETE" else last,
        int(trial.user_attrs.get("epochs", max(reports, default=0))),
        float(trial.user_attrs.get("seconds", 0.0)),
        trial.params or trial.user_attrs.get("params", {}),
        str(trial.user_attrs.get("reason", "")),
        len(trial.user_attrs.get(FOLDS, ())),
        seconds_spent(trial.user_attrs),
    )


def _running(
    trial: "FrozenTrial", training_images: int | None, now: float | None, grace: float | None
) -> Running:
    life = trial.system_attrs.get(HEARTBEAT, {})
    # A sign of life may be a beat old; what was reported is not.
    epoch = max([int(life.get("epoch") or 0), *trial.intermediate_values])
    epochs, rate = life.get("epochs"), life.get("images_per_second")
    value = trial.intermediate_values.get(epoch, life.get("value"))
    images = life.get("epoch_images") or training_images
    by_rate = images / rate if rate and images and life.get("paced", True) else None
    an_epoch = life.get("epoch_seconds") or by_rate
    left = (epochs - epoch - (life.get("part") or 0.0)) * an_epoch if epochs and an_epoch else None
    whole = None
    if epochs and an_epoch:  # What it took is of this sign of life, so what it had done by then counts.
        done = (life.get("epoch") or 0) + (life.get("part") or 0.0)
        whole = life.get("spent", done * an_epoch) + (epochs - done) * an_epoch
    return Running(
        trial.number,
        str(life.get("worker", "")),
        epoch,
        epochs,
        value,
        rate,
        life.get("features_left") or left,
        str(life.get("host", "")),
        str(life.get("device", "")),
        max(0.0, now - life["time"]) if now is not None and "time" in life else None,
        life.get("features"),
        life.get("fold"),
        now is not None and grace is not None and is_worker_dead(life or None, now, grace),
        whole,
    )


def _time_left(snapshot: Snapshot, trials: "Sequence[FrozenTrial]", compute: float | None = None) -> TimeLeft:
    """How long the study of a snapshot may still take; ``compute`` is what is left for its trials, FLOPs."""
    flops = {} if compute is None else {trial.number: whole_compute(trial) for trial in trials}
    counted = [trial for trial in snapshot.ended if trial.state not in ("failed", REFUSED)]
    ended = [
        Cost(trial.whole_seconds or trial.seconds, flops.get(trial.number, 0.0), is_at_once(trial))
        for trial in counted
        if trial.seconds > 0
    ]
    paced = [
        Cost(trial.whole_seconds, flops.get(trial.number, 0.0))
        for trial in snapshot.running
        if trial.whole_seconds and not trial.lost
    ]
    begun = sum(trial.epoch / trial.epochs for trial in snapshot.running if trial.epochs)
    owed = None if snapshot.wanted is None else max(0.0, snapshot.wanted - len(counted))
    return time_left(ended, paced, owed, begun, sum(not one.lost for one in snapshot.running), compute)


def is_at_once(trial: Ended) -> bool:
    """Whether a trial was fitted at once, an epoch a fold, and so says nothing of those that take steps."""
    return bool(trial.folds) and trial.epochs <= trial.folds
