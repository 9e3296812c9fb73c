"""Files that several hosts share without a common disk: Optuna's artifact stores, and checkpoints uploaded to them."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from optuna.artifacts import Backoff, FileSystemArtifactStore, download_artifact
from optuna.artifacts.exceptions import ArtifactNotFound

from storage.claims import Claim, ClaimLost
from storage.replacing import replacing

CHECKPOINT = "checkpoint"
Store: TypeAlias = Any  # Optuna's protocol is private: write, open_reader, remove.


def check_artifacts(where: str) -> None:
    """Refuse a place at which there could be no artifact store.

    Raises:
        ValueError: It is neither a bucket nor a folder that exists, in one line.
    """
    scheme, rest = _split(where)
    if scheme == "":
        if not Path(rest).is_dir():
            raise ValueError(
                f"--artifacts {where}: no such folder; expected a folder that all hosts share, s3://BUCKET or gs://BUCKET"
            )
    elif scheme not in ("s3", "gs") or not rest:
        raise ValueError(
            f"--artifacts {where}: expected a folder that all hosts share, s3://BUCKET or gs://BUCKET"
        )
    try:
        _library(scheme)
    except ImportError as error:
        package = {"s3": "boto3", "gs": "google-cloud-storage"}[scheme]
        raise ValueError(
            f"--artifacts {where}: {error.name} is not installed; pip install {package}"
        ) from None


def open_artifacts(where: str) -> Store:
    """The store at ``where``: a folder, ``s3://BUCKET`` or ``gs://BUCKET``.

    Buckets take their credentials as boto3 and google-cloud-storage do, from the environment; calls are tried again.
    """
    scheme, rest = _split(where)
    if scheme == "s3":
        from optuna.artifacts import Boto3ArtifactStore

        return Backoff(Boto3ArtifactStore(rest.strip("/")))
    if scheme == "gs":
        from optuna.artifacts import GCSArtifactStore

        return Backoff(GCSArtifactStore(rest.strip("/")))
    return FileSystemArtifactStore(rest)


def fetch(store: Store, name: str, path: Path) -> bool:
    """Download the artifact ``name`` to ``path``; False where it is gone."""
    try:
        with replacing(path) as aside:
            download_artifact(artifact_store=store, artifact_id=name, file_path=str(aside))
    except (ArtifactNotFound, FileNotFoundError):
        return False
    return True


def upload(store: Store, name: str, path: Path) -> None:
    """Write ``path`` under ``name``."""
    with path.open("rb") as file:
        store.write(name, file)


def discard(store: Store, name: str) -> None:
    """Remove ``name``, if it is there; one that cannot be removed now is left behind."""
    try:
        # Past Backoff, which in Optuna 5.0 removes ten times over, with pauses of 80 s in all.
        backend: Store = getattr(store, "_backend", store)
        backend.remove(name)
    except (ArtifactNotFound, FileNotFoundError):
        return
    except Exception as error:  # Whatever a store's library raises: the trial is not concerned.
        print(f"artifact {name} not removed: {error!r}"[:300], flush=True)


class Uploads:
    """Uploads one trial's checkpoints, the newest first, from a thread of its own, while the ``with`` block runs.

    Each goes under its claim's token and is recorded in the trial after it is whole: a worker that lost its claim
    writes beside the new owner's, and nobody is told of it.

    Args:
        store: Where to.
        claim: The trial's.
        study: Its name.
        path: The file that the child replaces from time to time.
    """

    def __init__(self, store: Store, claim: Claim, study: str, path: Path) -> None:
        self._store, self._claim, self._path = store, claim, path
        self._prefix = f"{study}-{claim.number:05d}-{claim.token}"
        self._pending: int | None = None
        self._uploaded: str | None = None
        self._changed = threading.Condition()
        self._busy = self._over = False
        self._thread = threading.Thread(target=self._work, name="uploads", daemon=True)

    def offer(self, epoch: int) -> None:
        """Say that the file is now of this epoch."""
        with self._changed:
            self._pending = epoch
            self._changed.notify_all()

    def finish(self, seconds: float) -> None:
        """Wait until the newest is there, but no longer than ``seconds``."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending is None and not self._busy, seconds)

    def __enter__(self) -> "Uploads":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._over or self._pending is not None)
                if self._over:
                    return
                epoch, self._pending, self._busy = self._pending, None, True
            try:
                self._upload(int(epoch or 0))
            except ClaimLost:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()
                return
            except Exception as error:  # A store that fails costs the newer copy; the trial goes on.
                print(f"checkpoint of trial {self._claim.number} not uploaded: {error!r}"[:300], flush=True)

    def _upload(self, epoch: int) -> None:
        name = f"{self._prefix}-{epoch}.npz"
        if name == self._uploaded or not self._path.exists():
            return
        claims = self._claim.claims
        before = claims.database.get_trial(self._claim.trial_id).system_attrs.get(CHECKPOINT)
        try:
            upload(self._store, name, self._path)
            with self._claim.owned():
                claims.database.set_trial_system_attr(
                    self._claim.trial_id, CHECKPOINT, {"artifact": name, "epoch": epoch}
                )
        except BaseException:  # Half written, or nobody's: nobody would ever remove it.
            discard(self._store, name)
            raise
        self._uploaded = name
        if before is not None and before["artifact"] != name:
            discard(self._store, before["artifact"])


def _split(where: str) -> tuple[str, str]:
    scheme, found, rest = where.partition("://")
    return (scheme, rest) if found else ("", where)


def _library(scheme: str) -> None:
    if scheme == "s3":
        import boto3  # noqa: F401
    elif scheme == "gs":
        import google.cloud.storage  # noqa: F401
