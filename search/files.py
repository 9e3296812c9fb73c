"""The files of a trial between claim and end: what it goes on from, what is kept, and what is cleared away."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from search.errors import TrialInterrupted
from search.study import LoadedStudy
from storage.artifacts import CHECKPOINT, Store, Uploads, discard, fetch, upload
from storage.checkpoints import read_facts
from storage.claims import Claim

KEPT_MODELS = 3
MODEL, KEPT = "model_artifact", "kept_models"
LAST_UPLOAD_SECONDS = 5.0


class TrialFiles:
    """Where one claimed trial is written to and goes on from.

    Attributes:
        checkpoint: This claim's own.
        model: For the weights that it keeps.
    """

    def __init__(self, study: LoadedStudy, claim: Claim) -> None:
        self.checkpoint = study.paths.checkpoint(claim.number, claim.token)
        self.model = study.paths.model(claim.number, claim.token)
        self._study, self._claim = study, claim
        self._store: Store | None = study.artifacts
        self._uploads: Uploads | None = None
        self._kept: str | None = None
        # What there is now. A later owner's is not among it: should this claim be lost, nothing of that may go.
        self._earlier = study.paths.checkpoints(claim.number)
        self._recorded = self._look_up()
        for path in (self.checkpoint, self.model, study.paths.log(claim.number)):
            path.parent.mkdir(parents=True, exist_ok=True)

    def go_on_from(self) -> tuple[str, ...]:
        """Checkpoints by earlier owners; one that is further than those on this disk is fetched first."""
        here = list(self._earlier)
        if self._recorded is not None and self._store is not None:
            furthest = max(((read_facts(path) or {"epoch": 0})["epoch"] for path in here), default=0)
            if self._recorded["epoch"] > furthest and self._fetch(self._recorded["artifact"]):
                here.append(self.checkpoint)
        return tuple(map(str, here))

    def _fetch(self, name: str) -> bool:
        try:
            return fetch(self._store, name, self.checkpoint)
        except Exception as error:  # Of a store anything may come: the trial goes on from what is here.
            print(f"checkpoint {name} not fetched: {error!r}"[:300], flush=True)
            return False

    @contextmanager
    def uploading(self) -> Iterator[None]:
        """Upload checkpoints within, where hosts share no disk; the last one before the trial is given back."""
        if self._store is None:
            yield
            return
        with Uploads(self._store, self._claim, self._study.config.study, self.checkpoint) as self._uploads:
            try:
                yield
            except TrialInterrupted:
                self._uploads.finish(LAST_UPLOAD_SECONDS)
                raise

    def written(self, epoch: int) -> None:
        """Note that this claim's own checkpoint is there: what earlier owners left is not needed any more."""
        for path in self._earlier:
            path.unlink(missing_ok=True)
        if self._uploads is not None:
            self._uploads.offer(epoch)

    def keep_model(self) -> str | None:
        """Upload the kept weights, where hosts share no disk; the artifact's name."""
        if self._store is None or not self.model.exists():
            return None
        name = f"{self._study.config.study}-{self.model.name}"
        try:
            upload(self._store, name, self.model)
        except Exception as error:  # The weights are here; a store that fails must not cost a trained trial.
            print(f"weights {name} not uploaded: {error!r}"[:300], flush=True)
            return None
        self._kept = name
        return name

    def forget_checkpoints(self) -> None:
        """Delete this claim's checkpoints and those it went on from: the trial has ended, or must begin again."""
        for path in (*self._earlier, self.checkpoint):
            path.unlink(missing_ok=True)
        if self._store is None:
            return
        recorded = self._look_up()
        for found in (self._recorded, recorded):
            if found is not None and (found == self._recorded or self._claim.token in found["artifact"]):
                discard(self._store, found["artifact"])

    def drop(self) -> None:
        """Leave a trial that is another's now.

        A checkpoint stays: whoever goes on with the trial may need it, and will delete it. What is left of a trial that
        has ended already nobody needs.
        """
        ended = self._study.storage.get_trial(self._claim.trial_id).state.is_finished()
        for path, _, token in self._study.paths.of_trials():
            if token == self._claim.token and (ended or path != self.checkpoint):
                path.unlink(missing_ok=True)
        if self._kept is not None and self._store is not None:
            discard(self._store, self._kept)

    def _look_up(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._study.storage.get_trial(self._claim.trial_id).system_attrs.get(
            CHECKPOINT
        )
        return found


def clear_away(study: LoadedStudy, uploaded: str | None = None) -> None:
    """Delete what ended trials have left, but for the weights of the best: disk use must not grow with the study.

    Args:
        study: Whose files.
        uploaded: The weights that were uploaded just now, if any.
    """
    files = study.paths.of_trials()  # Before the trials: a file's trial is then among them.
    trials = study.optuna.get_trials(deepcopy=False)
    best = study.ranked()[:KEPT_MODELS]
    kept = {study.paths.model(trial.number, str(trial.user_attrs.get("token"))) for trial in best}
    for path, number, _ in files:
        ended = number >= len(trials) or trials[number].state.is_finished()
        if ended and path not in kept:
            path.unlink(missing_ok=True)
    store = study.artifacts
    if store is not None and uploaded is not None:
        study.storage.exclusively(f"models {study.study_id}", lambda: _keep_artifacts(study, store, uploaded))


def _keep_artifacts(study: LoadedStudy, store: Store, uploaded: str) -> None:
    best = study.ranked()[:KEPT_MODELS]  # Under the lock: another may have become the best meanwhile.
    wanted = [str(trial.user_attrs[MODEL]) for trial in best if MODEL in trial.user_attrs]
    before = set(study.optuna.user_attrs.get(KEPT, []))
    study.optuna.set_user_attr(KEPT, wanted)
    for name in (before | {uploaded}) - set(wanted):
        discard(store, name)
