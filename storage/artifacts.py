"""Files that hosts share without a common disk: Optuna's artifact stores, and checkpoints uploaded to them."""

import json
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from optuna.artifacts import Backoff, FileSystemArtifactStore, download_artifact
from optuna.artifacts.exceptions import ArtifactNotFound

from storage.atomic import atomic_write
from storage.claims import Claim, ClaimLost

logger = logging.getLogger(__name__)

# The system attribute of a trial that names its newest uploaded checkpoint.
CHECKPOINT = "checkpoint"
# Optuna's, before an artifact's id, in the names of the system attributes that record artifacts.
ARTIFACT_PREFIX = "artifacts:"
EXPECTED = "expected a folder that all hosts share, s3://BUCKET or gs://BUCKET"
Store: TypeAlias = Any  # It has write, open_reader and remove; Optuna's protocol for it is private.


def check_artifacts(where: str) -> None:
    """Refuse a place at which there cannot be an artifact store.

    Raises:
        ValueError: It is neither a bucket nor a folder that exists, or the bucket's library is not installed; in one
            line, which begins with ``artifacts``.
    """
    scheme, rest = _split(where)
    if scheme and "@" in rest:
        raise ValueError(
            f"artifacts {scheme}://***@{rest.rpartition('@')[2]}: credentials belong in the environment; {EXPECTED}"
        )
    if scheme == "":
        if rest.startswith("~"):
            user = Path(rest).parts[0]
            raise ValueError(f"artifacts {where}: {user} is the home of no user of this host; {EXPECTED}")
        if not Path(rest).is_dir():
            raise ValueError(f"artifacts {where}: no such folder; {EXPECTED}")
    elif scheme not in ("s3", "gs") or not rest:
        raise ValueError(f"artifacts {where}: {EXPECTED}")
    try:
        if scheme == "s3":
            import boto3  # noqa: F401
        elif scheme == "gs":
            import google.cloud.storage  # noqa: F401
    except ImportError as error:
        extra = {"s3": "s3", "gs": "gcs"}[scheme]
        raise ValueError(
            f"artifacts {where}: {error.name} is not installed here; run python -m pip install "
            f"'keras-image-search[{extra}]'"
        ) from None


def open_artifacts(where: str) -> Store:
    """Open the artifact store at ``where``: a folder, ``s3://BUCKET`` or ``gs://BUCKET``.

    The libraries of buckets, boto3 and google-cloud-storage, take credentials from the environment. Calls to a bucket
    that fail are tried again.
    """
    scheme, rest = _split(where)
    if scheme == "s3":
        from optuna.artifacts import Boto3ArtifactStore

        return Backoff(Boto3ArtifactStore(rest.strip("/")))
    if scheme == "gs":
        from optuna.artifacts import GCSArtifactStore

        return Backoff(GCSArtifactStore(rest.strip("/")))
    return FileSystemArtifactStore(rest)


def try_fetch(store: Store, name: str, path: Path, what: str) -> bool:
    """Download the artifact ``name`` to ``path``, in place of the file there; return whether that was done.

    The caller can do without: where the store fails, this only warns that ``what`` was not fetched.
    """
    try:
        with atomic_write(path) as aside:
            download_artifact(artifact_store=store, artifact_id=name, file_path=str(aside))
    except (ArtifactNotFound, FileNotFoundError):
        return False
    except Exception as error:  # Of any kind, by the store's library.
        logger.warning(f"{what} not fetched: {error!r}"[:300])
        return False
    return True


def upload(store: Store, name: str, path: Path) -> None:
    """Upload the file ``path`` as the artifact ``name``."""
    with path.open("rb") as file:
        store.write(name, file)


def try_upload(store: Store, name: str, path: Path, what: str) -> bool:
    """As ``upload``, but where the store fails only warn that ``what`` was not uploaded; say whether it was."""
    try:
        upload(store, name, path)
    except Exception as error:  # Of any kind, by the store's library.
        logger.warning(f"{what} not uploaded: {error!r}"[:300])
        return False
    return True


def discard(store: Store, name: str) -> None:
    """Remove the artifact ``name``, if it is there; one that cannot be removed now stays behind."""
    try:
        # Not by Backoff, which in Optuna 5.0 removes ten times over, with pauses of 80 s in all.
        backend: Store = getattr(store, "_backend", store)
        backend.remove(name)
    except (ArtifactNotFound, FileNotFoundError):
        return
    except Exception as error:  # Of any kind, by the store's library: the trial does not suffer.
        logger.warning("artifact %s not removed: %.250r", name, error)


def artifact_ids(attributes: Mapping[str, Any]) -> dict[str, str]:
    """The artifacts that the system attributes of a study or a trial record.

    Returns:
        The id of each artifact, by its file name.
    """
    metas = [json.loads(value) for name, value in attributes.items() if name.startswith(ARTIFACT_PREFIX)]
    return {meta["filename"]: meta["artifact_id"] for meta in metas if meta is not None}


class CheckpointUploader:
    """Uploads one trial's checkpoints from a thread of its own while the ``with`` block runs.

    Only the newest checkpoint is uploaded; one that a newer one overtakes is skipped. Its name has the token of its
    claim, and it is recorded in the trial once it is whole. So a worker that has lost its claim writes beside the new
    owner's checkpoint, and the trial never names what it wrote.

    Args:
        store: Where the checkpoints go.
        claim: The claim of the trial.
        study: The study's name.
        path: The checkpoint file, which the child process replaces from time to time.
    """

    def __init__(self, store: Store, claim: Claim, study: str, path: Path) -> None:
        self._store, self._claim, self._path = store, claim, path
        self._prefix = f"{study}-{claim.number:05d}-{claim.token}"
        self._pending: int | None = None
        self._uploaded: str | None = None
        self._changed = threading.Condition()
        self._busy = self._over = False
        self._thread = threading.Thread(target=self._work, name="uploads", daemon=True)

    def submit(self, epoch: int) -> None:
        """Have the file uploaded, which is now of this epoch; returns at once."""
        with self._changed:
            self._pending = epoch
            self._changed.notify_all()

    def finish(self, seconds: float) -> None:
        """Wait until the newest checkpoint is uploaded, but no longer than ``seconds``."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending is None and not self._busy, seconds)

    def __enter__(self) -> "CheckpointUploader":
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
                logger.warning("checkpoint of trial %d not uploaded: %.250r", self._claim.number, error)

    def _upload(self, epoch: int) -> None:
        name = f"{self._prefix}-{epoch}.npz"
        if name == self._uploaded or not self._path.exists():
            return
        claims = self._claim.claims
        before = claims.database.get_trial(self._claim.trial_id).system_attrs.get(CHECKPOINT)
        try:
            upload(self._store, name, self._path)
            with self._claim.fenced():
                claims.database.set_trial_system_attr(
                    self._claim.trial_id, CHECKPOINT, {"artifact": name, "epoch": epoch}
                )
        except BaseException:  # It may be half written, and nobody else knows of it to remove it.
            discard(self._store, name)
            raise
        self._uploaded = name
        if before is not None and before["artifact"] != name:
            discard(self._store, before["artifact"])


def _split(where: str) -> tuple[str, str]:
    scheme, separator, rest = where.partition("://")
    return (scheme, rest) if separator else ("", os.path.expanduser(where))  # noqa: PTH111
