"""What a trial goes on from, what is kept of it, and what is cleared away; with a common disk and without."""

import dataclasses
import shutil
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState

from search.execution.trial import run_trial
from search.execution.trial_files import TrialFiles, delete_leftovers, trials_to_keep
from search.execution.worker import Worker
from search.execution.worker_loop import work
from search.study.study import KEPT_MODELS, MODEL
from storage.artifacts import CHECKPOINT, artifact_ids
from storage.checkpoints import read_facts, write_checkpoint
from storage.claims import Claim


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that all hosts reach."""
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


def claimed(worker: Worker) -> Claim:
    claim = worker.claims.claim(100)
    assert claim is not None
    return claim


def leave_checkpoint(files: TrialFiles, epoch: int) -> None:
    write_checkpoint(files.checkpoint, [np.zeros(3)], {"epoch": epoch})
    files.written(epoch)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


def test_next_owner_goes_on_from_what_the_last_one_left(make_worker: Callable[..., Worker]) -> None:
    worker = make_worker()
    claim = claimed(worker)
    first = TrialFiles(worker.study, claim)
    leave_checkpoint(first, 3)
    claim.requeue()
    again = TrialFiles(worker.study, claimed(worker))
    assert again.go_on_from() == (str(first.checkpoint),)
    assert again.checkpoint != first.checkpoint


def test_own_checkpoint_makes_those_of_earlier_owners_superfluous(make_worker) -> None:
    worker = make_worker()
    claim = claimed(worker)
    first = TrialFiles(worker.study, claim)
    leave_checkpoint(first, 3)
    claim.requeue()
    again = TrialFiles(worker.study, claimed(worker))
    leave_checkpoint(again, 4)
    assert worker.study.paths.checkpoints(0) == [again.checkpoint]


def test_stale_owner_leaves_the_new_owners_checkpoint_alone(make_worker) -> None:
    """It was paused, and hears of its child's checkpoint, or of its lack of memory, before it hears of its loss."""
    worker = make_worker()
    claim = claimed(worker)
    stale = TrialFiles(worker.study, claim)
    claim.requeue()
    again = TrialFiles(worker.study, claimed(worker))
    leave_checkpoint(again, 4)
    leave_checkpoint(stale, 2)
    stale.delete_checkpoints()
    assert worker.study.paths.checkpoints(0) == [again.checkpoint]


def test_studies_of_one_name_in_two_databases_leave_each_others_files_alone(make_worker, tmp_path) -> None:
    one, two = make_worker(), make_worker(storage=f"sqlite:///{tmp_path / 'other.db'}")
    running = TrialFiles(one.study, claimed(one))
    leave_checkpoint(running, 1)
    ended = claimed(two)
    leave_checkpoint(TrialFiles(two.study, ended), 1)
    ended.finish(TrialState.FAIL)
    delete_leftovers(two.study)
    assert one.study.paths.folder == two.study.paths.folder
    assert one.study.paths.checkpoints(0) == [running.checkpoint]
    assert two.study.paths.checkpoints(0) == []


def test_store_that_is_away_costs_neither_the_trial_nor_the_way_to_go_on(
    make_worker, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make_worker(artifacts=str(shared))
    claim = claimed(worker)
    worker.study.storage.set_trial_system_attr(claim.trial_id, CHECKPOINT, {"artifact": "a.npz", "epoch": 9})
    files = TrialFiles(worker.study, claim)

    def away(*_: object, **__: object) -> None:
        raise ConnectionError("no such bucket")

    monkeypatch.setattr("storage.artifacts.download_artifact", away)
    monkeypatch.setattr("storage.artifacts.upload", away)
    files.model.touch()
    assert files.go_on_from() == ()
    assert files.keep_model() is None


def test_dropped_claim_leaves_its_checkpoint_to_whoever_goes_on(make_worker) -> None:
    """It was given away while its worker was paused, and nobody was free to take it yet."""
    worker = make_worker()
    claim = claimed(worker)
    files = TrialFiles(worker.study, claim)
    leave_checkpoint(files, 3)
    files.model.touch()
    claim.requeue()
    files.drop()
    assert [path for path, _, _ in worker.study.paths.trial_files()] == [files.checkpoint]


def test_dropped_claim_of_a_trial_that_has_ended_leaves_nothing_but_the_others_files(make_worker) -> None:
    worker = make_worker()
    claim = claimed(worker)
    first = TrialFiles(worker.study, claim)
    claim.requeue()
    taken = claimed(worker)
    again = TrialFiles(worker.study, taken)
    again.model.touch()
    taken.finish(TrialState.COMPLETE, 0.5)
    leave_checkpoint(first, 3)
    first.drop()
    assert [path for path, _, _ in worker.study.paths.trial_files()] == [again.model]


def test_files_of_ended_trials_are_cleared_away_and_those_of_others_kept(make_worker) -> None:
    worker = make_worker()

    def leave_files() -> Claim:
        claim = claimed(worker)
        files = TrialFiles(worker.study, claim)
        leave_checkpoint(files, 1)
        files.model.touch()
        files.checkpoint.with_name(f".{files.checkpoint.name}.123").touch()  # A writer was killed there.
        return claim

    leave_files().finish(TrialState.FAIL)
    running = leave_files()
    delete_leftovers(worker.study)
    assert {number for _, number, _ in worker.study.paths.trial_files()} == {running.number}
    assert len(worker.study.paths.trial_files()) == 3


@pytest.mark.slow
def test_hosts_without_a_common_disk_go_on_from_the_uploaded_checkpoint(
    make_worker, shared: Path, until
) -> None:
    worker = make_worker(artifacts=str(shared), epochs=12)
    claim = claimed(worker)
    files = TrialFiles(worker.study, claim)
    with files.uploading():
        leave_checkpoint(files, 5)
        recorded = until(lambda: worker.study.storage.get_trial(claim.trial_id).system_attrs.get(CHECKPOINT))
    assert recorded["epoch"] == 5
    claim.requeue()
    files.checkpoint.unlink()  # It is on the other host's disk.

    again = TrialFiles(worker.study, claimed(worker))
    (fetched,) = again.go_on_from()
    facts = read_facts(Path(fetched))
    assert facts is not None
    assert facts["epoch"] == 5
    again.delete_checkpoints()
    assert names(shared) == []


def test_uploaded_checkpoint_is_fetched_where_the_one_here_is_damaged_inside(
    make_worker, shared: Path
) -> None:
    """By its facts the one here was as far."""
    worker = make_worker(artifacts=str(shared))
    claim = claimed(worker)
    files = TrialFiles(worker.study, claim)
    leave_checkpoint(files, 5)
    shutil.copy(files.checkpoint, shared / "s-uploaded.npz")
    recorded = {"artifact": "s-uploaded.npz", "epoch": 5}
    worker.study.storage.set_trial_system_attr(claim.trial_id, CHECKPOINT, recorded)
    claim.requeue()
    with zipfile.ZipFile(files.checkpoint) as archive:
        place = archive.getinfo("array00000.npy").header_offset + 150
    with files.checkpoint.open("r+b") as file:
        file.seek(place)
        file.write(b"damaged")

    again = TrialFiles(worker.study, claimed(worker))
    assert again.go_on_from() == (str(files.checkpoint), str(again.checkpoint))
    assert read_facts(files.checkpoint) is None
    assert read_facts(again.checkpoint) == {"epoch": 5}


@pytest.mark.slow
def test_artifacts_are_bounded_by_the_best_models(make_worker, shared: Path) -> None:
    worker = make_worker(artifacts=str(shared), epochs=2)
    work(worker, lambda: KEPT_MODELS + 2)
    best = trials_to_keep(worker.study)
    pictures = {
        artifact
        for trial in worker.study.optuna.get_trials()
        for artifact in artifact_ids(trial.system_attrs).values()
    }
    assert pictures
    assert set(names(shared)) == pictures | {trial.user_attrs[MODEL] for trial in best}


@pytest.mark.slow
def test_trial_interrupted_on_one_host_learns_the_same_on_another(make_worker, shared: Path) -> None:
    """The other host has the same database and the same shared place, and an empty studies folder."""
    worker = make_worker("moving", artifacts=str(shared), epochs=20, epoch_seconds=0.1)
    whole = make_worker("staying", epochs=20)

    def stop_in_the_middle() -> None:
        while not names(shared):
            time.sleep(0.002)
        worker.stop.reason = "stopped by SIGTERM"

    threading.Thread(target=stop_in_the_middle, daemon=True).start()
    run_trial(worker, claimed(worker))
    assert worker.study.storage.get_trial(1).state == TrialState.WAITING
    elsewhere = dataclasses.replace(worker.study.paths, root=worker.study.paths.root / "elsewhere")
    other = dataclasses.replace(
        worker, study=dataclasses.replace(worker.study, paths=elsewhere), stop=type(worker.stop)()
    )
    work(other, lambda: 1)
    work(whole, lambda: 1)
    histories = [dict(one.study.optuna.trials[0].user_attrs["history"]) for one in (other, whole)]
    for history in histories:
        del history["seconds"]
    assert histories[0] == histories[1]
    assert "epoch 1:" not in elsewhere.log(0).read_text(), "it went on, and did not begin again"
