"""Files on a shared store: what may be named as one, and checkpoints uploaded under their claim's token."""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore
from optuna.trial import TrialState

from storage.artifacts import (
    CHECKPOINT,
    CheckpointUploader,
    check_artifacts,
    discard,
    open_artifacts,
    try_fetch,
    upload,
)
from storage.claims import Claim, Claims
from storage.connect import open_storage
from storage.database import Database
from storage.liveness import HEARTBEAT
from storage.timeouts import Timeouts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "shared"
    made.mkdir()
    return made


@pytest.fixture
def store(folder: Path) -> FileSystemArtifactStore:
    return open_artifacts(str(folder))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The checkpoint that a child replaces."""
    made = tmp_path / "checkpoint.npz"
    made.write_bytes(b"epoch 1")
    return made


@pytest.fixture(scope="module")
def database(shared_url: str) -> Database:
    return open_storage(shared_url, Timeouts(grace=30))


@pytest.fixture
def claim(database: Database, study_name: str) -> Claim:
    study = optuna.create_study(study_name=study_name, storage=database, direction="maximize")
    claim = Claims(database, study._study_id, "one").claim(1)
    assert claim is not None
    return claim


class Slow(FileSystemArtifactStore):
    """A store that writes only when it is let."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.names: list[str] = []

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        self.begun.release()
        self.go.acquire(timeout=20)
        super().write(artifact_id, content_body)
        self.names.append(artifact_id)


class Broken(FileSystemArtifactStore):
    """A store that fails as often as it is told."""

    failures = 1

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError(28, "No space left on device")
        super().write(artifact_id, content_body)


def recorded(claim: Claim) -> dict[str, Any] | None:
    return claim.claims.database.get_trial(claim.trial_id).system_attrs.get(CHECKPOINT)


def give_away(claim: Claim) -> None:
    database = claim.claims.database
    life = database.get_trial(claim.trial_id).system_attrs[HEARTBEAT]
    database.set_trial_system_attr(claim.trial_id, HEARTBEAT, {**life, "token": "another"})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refusal(where: str) -> str:
    with pytest.raises(ValueError, match=r"^artifacts ") as refused:
        check_artifacts(where)
    line = str(refused.value)
    assert "\n" not in line
    return line


def test_folder_is_accepted(folder: Path) -> None:
    check_artifacts(str(folder))
    assert isinstance(open_artifacts(str(folder)), FileSystemArtifactStore)


def test_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert "no such folder; expected a folder that all hosts share" in refusal(f"{tmp_path}/no/such")
    assert list(tmp_path.iterdir()) == []


def test_file_in_place_of_a_folder_is_refused(file: Path) -> None:
    assert "no such folder" in refusal(str(file))


@pytest.mark.parametrize("where", ["s3://", "gs://", "http://host/bucket", "azure://bucket", "://bucket"])
def test_what_is_no_bucket_is_refused(where: str) -> None:
    assert "expected a folder that all hosts share, s3://BUCKET or gs://BUCKET" in refusal(where)


@pytest.mark.parametrize("scheme", ["s3", "ftp"])
def test_credentials_in_the_place_of_a_bucket_are_refused_and_not_shown(scheme: str) -> None:
    said = refusal(f"{scheme}://me:secret@bucket")
    assert said.startswith(f"artifacts {scheme}://***@bucket: credentials belong in the environment")
    assert "secret" not in said


@pytest.mark.parametrize(
    ("where", "module", "extra"),
    [("s3://bucket", "boto3", "s3"), ("gs://bucket", "google.cloud.storage", "gcs")],
)
def test_bucket_whose_library_is_missing_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, where: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert f"not installed here; run python -m pip install 'keras-image-search[{extra}]'" in refusal(where)


def test_bucket_of_s3_opens_optunas_store(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("boto3", reason="boto3 is not installed (pip install '.[s3]')")
    from optuna.artifacts import Boto3ArtifactStore

    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    check_artifacts("s3://bucket/")
    inner = open_artifacts("s3://bucket/")._backend
    assert isinstance(inner, Boto3ArtifactStore)
    assert inner.bucket == "bucket"


def test_file_comes_back_from_the_store_as_it_was(
    store: FileSystemArtifactStore, file: Path, tmp_path: Path
) -> None:
    upload(store, "name", file)
    again = tmp_path / "again.npz"
    assert try_fetch(store, "name", again, "it")
    assert again.read_bytes() == b"epoch 1"


def test_fetched_file_replaces_the_one_there_and_leaves_nothing_beside(
    store: FileSystemArtifactStore, file: Path, tmp_path: Path
) -> None:
    upload(store, "name", file)
    file.write_bytes(b"epoch 0, but longer")
    before = names(tmp_path)
    assert try_fetch(store, "name", file, "it")
    assert file.read_bytes() == b"epoch 1"
    assert names(tmp_path) == before


def test_artifact_that_is_gone_is_not_fetched_and_leaves_the_file(
    store: FileSystemArtifactStore, file: Path, tmp_path: Path
) -> None:
    before = names(tmp_path)
    assert not try_fetch(store, "name", file, "it")
    assert file.read_bytes() == b"epoch 1"
    assert names(tmp_path) == before


def test_fetching_that_breaks_off_is_told_and_leaves_the_file(
    file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Torn:
        def open_reader(self, artifact_id: str) -> BinaryIO:
            raise ConnectionResetError

    before = names(tmp_path)
    assert not try_fetch(Torn(), "name", file, "it")
    assert "it not fetched: ConnectionResetError()" in caplog.text
    assert file.read_bytes() == b"epoch 1"
    assert names(tmp_path) == before


def test_artifact_is_discarded(store: FileSystemArtifactStore, file: Path, folder: Path) -> None:
    upload(store, "name", file)
    discard(store, "name")
    assert names(folder) == []


def test_discarding_what_is_not_there_is_no_error(store: FileSystemArtifactStore, folder: Path) -> None:
    discard(store, "name")
    assert names(folder) == []


def test_artifact_in_a_bucket_is_removed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 answers the removal of what is not there with success."""
    removed: list[str] = []

    class Bucket:
        def __init__(self, name: str) -> None:
            pass

        def remove(self, artifact_id: str) -> None:
            removed.append(artifact_id)

    monkeypatch.setattr("optuna.artifacts.Boto3ArtifactStore", Bucket)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    discard(open_artifacts("s3://bucket"), "name")
    assert removed == ["name"]


def test_checkpoint_is_uploaded_under_its_claims_token_and_recorded(
    claim: Claim, store: FileSystemArtifactStore, file: Path, folder: Path
) -> None:
    with CheckpointUploader(store, claim, "s", file) as uploads:
        uploads.submit(1)
        uploads.finish(20)
    name = f"s-00000-{claim.token}-1.npz"
    assert names(folder) == [name]
    assert (folder / name).read_bytes() == b"epoch 1"
    assert recorded(claim) == {"artifact": name, "epoch": 1}


def test_newer_checkpoint_takes_the_place_of_the_one_before(
    claim: Claim, store: FileSystemArtifactStore, file: Path, folder: Path
) -> None:
    with CheckpointUploader(store, claim, "s", file) as uploads:
        for epoch in (1, 2, 3):
            file.write_bytes(f"epoch {epoch}".encode())
            uploads.submit(epoch)
            uploads.finish(20)
    (name,) = names(folder)
    assert (folder / name).read_bytes() == b"epoch 3"
    assert recorded(claim) == {"artifact": name, "epoch": 3}


def test_checkpoint_of_an_earlier_owner_is_removed_once_there_is_a_newer(
    claim: Claim, store: FileSystemArtifactStore, file: Path, folder: Path
) -> None:
    upload(store, "earlier", file)
    claim.claims.database.set_trial_system_attr(
        claim.trial_id, CHECKPOINT, {"artifact": "earlier", "epoch": 1}
    )
    with CheckpointUploader(store, claim, "s", file) as uploads:
        uploads.submit(2)
        uploads.finish(20)
    assert names(folder) == [f"s-00000-{claim.token}-2.npz"]


def test_only_the_newest_of_those_that_waited_is_uploaded(claim: Claim, file: Path, folder: Path) -> None:
    slow = Slow(folder)
    with CheckpointUploader(slow, claim, "s", file) as uploads:
        uploads.submit(1)
        assert slow.begun.acquire(timeout=20)
        for epoch in (2, 3, 4):
            uploads.submit(epoch)
        slow.go.release(2)
        uploads.finish(20)
    assert [name.rpartition("-")[2] for name in slow.names] == ["1.npz", "4.npz"]
    assert recorded(claim) == {"artifact": slow.names[-1], "epoch": 4}


def test_offering_does_not_wait_for_the_store(claim: Claim, file: Path, folder: Path) -> None:
    slow = Slow(folder)
    with CheckpointUploader(slow, claim, "s", file) as uploads:
        started = time.monotonic()
        uploads.submit(1)
        assert slow.begun.acquire(timeout=20)
        uploads.submit(2)
        assert time.monotonic() - started < 5
        assert recorded(claim) is None
        slow.go.release(2)
        uploads.finish(20)


def test_checkpoint_is_recorded_only_once_it_is_whole(claim: Claim, file: Path, folder: Path) -> None:
    seen: list[object] = []

    class Watched(FileSystemArtifactStore):
        def write(self, artifact_id: str, content_body: BinaryIO) -> None:
            super().write(artifact_id, content_body)
            seen.append(recorded(claim))

    with CheckpointUploader(Watched(folder), claim, "s", file) as uploads:
        uploads.submit(1)
        uploads.finish(20)
    assert seen == [None]
    assert recorded(claim) is not None


def test_file_offered_but_not_there_is_passed_over(
    claim: Claim, store: FileSystemArtifactStore, file: Path, folder: Path
) -> None:
    file.unlink()
    with CheckpointUploader(store, claim, "s", file) as uploads:
        uploads.submit(1)
        uploads.finish(20)
    assert names(folder) == []
    assert recorded(claim) is None


def test_finish_waits_until_the_newest_is_there(claim: Claim, file: Path, folder: Path) -> None:
    slow = Slow(folder)
    with CheckpointUploader(slow, claim, "s", file) as uploads:
        uploads.submit(1)
        assert slow.begun.acquire(timeout=20)
        threading.Timer(0.3, slow.go.release).start()
        uploads.finish(20)
        assert len(slow.names) == 1
        assert recorded(claim) is not None


def test_finish_waits_no_longer_than_it_is_told(claim: Claim, file: Path, folder: Path) -> None:
    slow = Slow(folder)
    with CheckpointUploader(slow, claim, "s", file) as uploads:
        uploads.submit(1)
        started = time.monotonic()
        uploads.finish(0.2)
        assert 0.2 <= time.monotonic() - started < 5
        slow.go.release()


def test_finish_with_nothing_offered_returns_at_once(
    claim: Claim, store: FileSystemArtifactStore, file: Path
) -> None:
    with CheckpointUploader(store, claim, "s", file) as uploads:
        started = time.monotonic()
        uploads.finish(20)
        assert time.monotonic() - started < 5


def test_claim_lost_during_an_upload_leaves_nothing_behind_and_nothing_recorded(
    claim: Claim, file: Path, folder: Path, ended: Callable[[str], None]
) -> None:
    slow = Slow(folder)
    with CheckpointUploader(slow, claim, "s", file) as uploads:
        uploads.submit(1)
        assert slow.begun.acquire(timeout=20)
        give_away(claim)
        slow.go.release()
        ended("uploads")
    assert len(slow.names) == 1
    assert names(folder) == []
    assert recorded(claim) is None


def test_claim_lost_during_an_upload_leaves_the_new_owners_checkpoint(
    claim: Claim, file: Path, folder: Path, ended: Callable[[str], None]
) -> None:
    slow = Slow(folder)
    theirs = {"artifact": "theirs", "epoch": 2}
    with CheckpointUploader(slow, claim, "s", file) as uploads:
        uploads.submit(1)
        assert slow.begun.acquire(timeout=20)
        give_away(claim)
        (folder / "theirs").write_bytes(b"epoch 2")
        claim.claims.database.set_trial_system_attr(claim.trial_id, CHECKPOINT, theirs)
        slow.go.release()
        ended("uploads")
    assert names(folder) == ["theirs"]
    assert recorded(claim) == theirs


def test_trial_ended_during_an_upload_leaves_nothing_behind(
    claim: Claim, file: Path, folder: Path, ended: Callable[[str], None]
) -> None:
    slow = Slow(folder)
    with CheckpointUploader(slow, claim, "s", file) as uploads:
        uploads.submit(1)
        assert slow.begun.acquire(timeout=20)
        claim.finish(TrialState.COMPLETE, 0.5)
        slow.go.release()
        ended("uploads")
    assert names(folder) == []
    assert recorded(claim) is None


def test_finish_does_not_wait_for_a_claim_that_is_lost(
    claim: Claim, store: FileSystemArtifactStore, file: Path, ended: Callable[[str], None]
) -> None:
    give_away(claim)
    with CheckpointUploader(store, claim, "s", file) as uploads:
        uploads.submit(1)
        ended("uploads")
        started = time.monotonic()
        uploads.finish(1)
        assert time.monotonic() - started < 0.5


def test_store_that_fails_costs_nothing_but_the_copy(
    claim: Claim, file: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with CheckpointUploader(Broken(folder), claim, "s", file) as uploads:
        uploads.submit(1)
        uploads.finish(20)
        assert recorded(claim) is None
        uploads.submit(2)
        uploads.finish(20)
    assert recorded(claim) == {"artifact": f"s-00000-{claim.token}-2.npz", "epoch": 2}
    assert names(folder) == [f"s-00000-{claim.token}-2.npz"]
    (message,) = caplog.messages
    assert "checkpoint of trial 0 not uploaded" in message
    assert "No space left" in message


def test_copy_before_stays_where_the_newer_failed(claim: Claim, file: Path, folder: Path) -> None:
    broken = Broken(folder)
    broken.failures = 0
    with CheckpointUploader(broken, claim, "s", file) as uploads:
        uploads.submit(1)
        uploads.finish(20)
        broken.failures = 1
        uploads.submit(2)
        uploads.finish(20)
    assert recorded(claim) == {"artifact": f"s-00000-{claim.token}-1.npz", "epoch": 1}
    assert names(folder) == [f"s-00000-{claim.token}-1.npz"]


def test_upload_that_breaks_off_leaves_no_half_of_a_file(claim: Claim, file: Path, folder: Path) -> None:
    class Full(FileSystemArtifactStore):
        def write(self, artifact_id: str, content_body: BinaryIO) -> None:
            (folder / artifact_id).write_bytes(b"epo")
            raise OSError(28, "No space left on device")

    with CheckpointUploader(Full(folder), claim, "s", file) as uploads:
        uploads.submit(1)
        uploads.finish(20)
    assert names(folder) == []


def test_thread_ends_with_the_block(
    claim: Claim, store: FileSystemArtifactStore, file: Path, ended: Callable[[str], None]
) -> None:
    with CheckpointUploader(store, claim, "s", file):
        assert "uploads" in [thread.name for thread in threading.enumerate()]
    ended("uploads")


def test_folder_begins_in_the_home_folder(
    folder: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    check_artifacts("~/shared")
    upload(open_artifacts("~/shared"), "one", file)
    assert names(folder) == ["one"]
    assert "~nobodyx is the home of no user of this host; expected" in refusal("~nobodyx/shared")
