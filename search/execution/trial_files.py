"""The files of a trial between claim and end: its checkpoints, its kept weights, and what is cleared away."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from search.errors import TrialInterrupted
from search.study.out_of_fold import predictions_artifact
from search.study.prices import Prices
from search.study.study import KEPT, KEPT_MODELS, MODEL, LoadedStudy
from storage.artifacts import CHECKPOINT, CheckpointUploader, Store, discard, try_fetch, try_upload
from storage.checkpoints import read_facts
from storage.claims import Claim

LAST_UPLOAD_SECONDS = 5.0


class TrialFiles:
    """The files of one claimed trial.

    Attributes:
        checkpoint: Where this claim's child writes its checkpoint.
        model: Where it writes the weights to keep.
    """

    def __init__(self, study: LoadedStudy, claim: Claim) -> None:
        self.checkpoint = study.paths.checkpoint(claim.number, claim.token)
        self.model = study.paths.model(claim.number, claim.token)
        self._study, self._claim = study, claim
        self._store: Store | None = study.artifacts
        self._uploads: CheckpointUploader | None = None
        self._kept: str | None = None
        # What there is now. A later owner's is not among it: should this claim be lost, nothing of that may go.
        self._earlier = study.paths.checkpoints(claim.number)
        self._recorded = self._look_up()
        for path in (self.checkpoint, self.model, self.predictions(0), study.paths.log(claim.number)):
            path.parent.mkdir(parents=True, exist_ok=True)

    def go_on_from(self) -> tuple[str, ...]:
        """The checkpoints of earlier owners; an uploaded one that is further than these is fetched first."""
        here = list(self._earlier)
        if self._recorded is not None and self._store is not None:
            furthest = max(((read_facts(path) or {"epoch": 0})["epoch"] for path in here), default=0)
            name, is_further = self._recorded["artifact"], self._recorded["epoch"] > furthest
            if is_further and try_fetch(self._store, name, self.checkpoint, f"checkpoint {name}"):
                here.append(self.checkpoint)
        return tuple(map(str, here))

    @contextmanager
    def uploading(self) -> Iterator[None]:
        """Upload checkpoints within the block, where hosts share no disk; the last one before the trial is requeued."""
        if self._store is None:
            yield
            return
        with CheckpointUploader(
            self._store, self._claim, self._study.config.study, self.checkpoint
        ) as self._uploads:
            try:
                yield
            except TrialInterrupted:
                self._uploads.finish(LAST_UPLOAD_SECONDS)
                raise

    def written(self, epoch: int) -> None:
        """Note that this claim's own checkpoint has been written, and delete those of earlier owners."""
        for path in self._earlier:
            path.unlink(missing_ok=True)
        if self._uploads is not None:
            self._uploads.submit(epoch)

    def keep_model(self) -> str | None:
        """Upload the kept weights, where hosts share no disk, and return the artifact's name."""
        if self._store is None or not self.model.exists():
            return None
        name = f"{self._study.config.study}-{self.model.name}"
        # They are here: a store that fails must not cost a trained trial.
        if not try_upload(self._store, name, self.model, f"weights {name}"):
            return None
        self._kept = name
        return name

    def predictions(self, fold: int) -> Path:
        """Where this claim's child writes what a fold predicts."""
        return self._study.paths.predictions(self._claim.number, self._claim.token, fold)

    def keep_predictions(self, fold: int) -> str | None:
        """Upload what a fold has predicted, where hosts share no disk, and return the token that its file has.

        It stays if the claim is lost afterwards, for whoever goes on with the trial does not train this fold again.
        """
        path = self.predictions(fold)
        if not path.exists():
            return None
        if self._store is not None:
            name = predictions_artifact(self._study.config.study, path)
            # Without them an export elsewhere tells less.
            try_upload(self._store, name, path, f"predictions {name}")
        return self._claim.token

    def delete_checkpoints(self) -> None:
        """Delete this claim's checkpoints and those it went on from, for the trial has ended or must begin again."""
        for path in (*self._earlier, self.checkpoint):
            path.unlink(missing_ok=True)
        if self._store is None:
            return
        recorded = self._look_up()
        for found in (self._recorded, recorded):
            if found is not None and (found == self._recorded or self._claim.token in found["artifact"]):
                discard(self._store, found["artifact"])

    def drop(self) -> None:
        """Leave the files of a trial that is another worker's now.

        A checkpoint of a running trial stays, for whoever goes on with the trial may need it, and will delete it. Of a
        trial that has ended, nobody needs anything.
        """
        ended = self._study.storage.get_trial(self._claim.trial_id).state.is_finished()
        for path, _, token in self._study.paths.trial_files():
            if token == self._claim.token and (ended or path != self.checkpoint):
                path.unlink(missing_ok=True)
        if self._kept is not None and self._store is not None:
            discard(self._store, self._kept)

    def _look_up(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._study.storage.get_trial(self._claim.trial_id).system_attrs.get(
            CHECKPOINT
        )
        return found


def delete_leftovers(study: LoadedStudy, uploaded: str | None = None) -> None:
    """Delete what ended trials have left, but for the weights of the best, so that disk use does not grow.

    Args:
        study: The open study.
        uploaded: The artifact with the weights that were uploaded just now, if any.
    """
    files = study.paths.trial_files()  # Before the trials: a file's trial is then among them.
    trials = study.optuna.get_trials(deepcopy=False)
    best = trials_to_keep(study)
    kept = {study.paths.model(trial.number, str(trial.user_attrs.get("token"))) for trial in best}
    for path, number, _ in files:
        ended = number >= len(trials) or trials[number].state.is_finished()
        if ended and path not in kept:
            path.unlink(missing_ok=True)
    store = study.artifacts
    if store is not None and uploaded is not None:
        study.storage.exclusively(f"models {study.study_id}", lambda: _keep_artifacts(study, store, uploaded))


def trials_to_keep(study: LoadedStudy) -> list[FrozenTrial]:
    """The trials whose weights an export may ask for: the best few, and those that may be preferred to the best."""
    ranked = study.ranked()
    cheap = Prices(study).worth_keeping(ranked)
    return [trial for place, trial in enumerate(ranked) if place < KEPT_MODELS or trial.number in cheap]


def _keep_artifacts(study: LoadedStudy, store: Store, uploaded: str) -> None:
    best = trials_to_keep(study)  # Under the lock: another may have become the best meanwhile.
    wanted = [str(trial.user_attrs[MODEL]) for trial in best if MODEL in trial.user_attrs]
    before = set(study.optuna.user_attrs.get(KEPT, []))
    study.optuna.set_user_attr(KEPT, wanted)
    for name in (before | {uploaded}) - set(wanted):
        discard(store, name)
