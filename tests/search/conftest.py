"""A small real study, searched once, for the tests of what comes after a search."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.postgres import MEMORY, PostgresServer
from search.cli.app import main
from search.config.settings import ExportOptions, RunOptions
from search.config.study_config import StudyConfig
from search.data import Dataset
from search.data.preparation import prepare
from search.errors import StudyStopped, TrialFailed
from search.execution.stop_requests import Stop
from search.execution.worker import Worker
from search.execution.worker_loop import work
from search.exporting.child_training import TrainingResult
from search.exporting.export import Export
from search.exporting.request import ExportRequest
from search.exporting.scoring_result import Mistakes, ScoringResult
from search.exporting.summary import summarise
from search.exporting.writers import write_files
from search.metrics.classification import Scores
from search.postgres.folder import ServerFolder
from search.postgres.server import server_status, start_server, stop_server
from search.predict import app
from search.process.fork_server import PRELOAD, ForkServer
from search.study.finding import create_study
from search.study.opening import open_study
from search.study.study import LoadedStudy
from search.training.plan import TrainingPlan
from search.workflows.export import export_study
from spaces.contract import InputSpec
from spaces.recipe import Recipe
from storage.claims import Claims
from storage.process_identity import process_exists
from storage.timeouts import Timeouts

TRIALS = 2
# The jobs and the space that tests run in children; a fork server takes our path over when it starts.
IN_CHILD = Path(__file__).parent / "in_child"
sys.path.append(str(IN_CHILD))
CHROMIUM = Path("/usr/bin/chromium")
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
SHORT = Timeouts(grace=3.0, outage=30.0, pause=0.5, poll=0.1)


@pytest.fixture(scope="session")
def fast_server() -> Iterator[ForkServer]:
    """A fork server whose children train by ``in_child/numpy_training.py``, draw next to nothing, and start at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEARCH_TEST_TRAINING", "numpy")
        # Folds are drawn with the last, which would cost each child a second.
        patch.setattr("search.process.fork_server.PRELOAD", (*PRELOAD, "sklearn.model_selection"))
        server = ForkServer("tensorflow")
    with server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright; in CI both and axe-core must be there."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        why = "Playwright is missing: pip install '.[test]'"
    else:
        why = "" if CHROMIUM.exists() else f"{CHROMIUM} is missing: apt-get install chromium"
    if not why and not AXE.is_file():
        why = "axe-core is missing: npm install --no-save --no-package-lock axe-core"
    if why:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{why}: CI has to install it")
        pytest.skip(why)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepare("digits", cache=tmp_path_factory.mktemp("digits"), say=lambda line: None)


@pytest.fixture(scope="module")
def make_worker_in(digits: Dataset, fast_server: ForkServer) -> Callable[..., Worker]:
    """Make a worker on a new study of digits and ``in_child/small_space.py`` below a root; settings: a StudyConfig's.

    It trains in NumPy, unless ``server`` is ``fork_server``. An epoch then takes ``epoch_seconds`` at least.
    """

    def make(
        root: Path,
        study: str = "small",
        server: Any = fast_server,
        stop: Stop | None = None,
        storage: str | None = None,
        times: Timeouts | None = None,
        epoch_seconds: float = 0.0,
        **settings: Any,
    ) -> Worker:
        fixed = {
            "data": "digits",
            "space": "small_space",
            "flip": False,
            "pruner": "none",
            "sampler": "random",
        }
        of_data = ("fingerprint", "classes", "height", "width", "channels")
        seen = {name: getattr(digits, name) for name in of_data}
        config = StudyConfig(study, **{**fixed, **seen, "epochs": 2, "images": 200, **settings})
        root.mkdir(exist_ok=True)
        made = create_study(config, digits.folder, storage, root, timeouts=times)
        assert made is not None
        claims = Claims(made.storage, made.study_id, "worker-1")
        return Worker(
            made,
            server,
            claims,
            stop or Stop(),
            threads=1,
            environment={"SEARCH_TEST_EPOCH_SECONDS": str(epoch_seconds)},
            checkpoint_seconds=0.0,
        )

    return make


@pytest.fixture
def make_worker(make_worker_in: Callable[..., Worker], tmp_path: Path) -> Callable[..., Worker]:
    """The same, below a root of the test's own."""
    return partial(make_worker_in, tmp_path / "studies")


@pytest.fixture(scope="module")
def make_plan(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TrainingPlan]:
    """Plan five epochs on 200 digits, with dropout, momentum and augmentation, and files of their own."""

    def make(**changes: Any) -> TrainingPlan:
        place = tmp_path_factory.mktemp("training")
        plan = TrainingPlan(
            space="small_space",
            params={"width": 16, "dropout": 0.3, "fault": "", "once": ""},
            recipe=Recipe(learning_rate=0.05, batch_size=32, augmentation=1.0, momentum=0.85),
            input_spec=InputSpec(8, 8, 1, 10),
            dataset=str(digits.folder),
            validation=0.1,
            images=200,
            split_seed=0,
            seed=11,
            epochs=5,
            flip=True,
            checkpoint=str(place / "checkpoint.npz"),
            checkpoint_seconds=0.0,
            model=str(place / "model.keras"),
        )
        return replace(plan, **changes)

    return make


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory, fork_server: ForkServer) -> LoadedStudy:
    """The study ``tiny``: digits, two finished trials of two epochs, on 300 images, and one waiting."""
    place = tmp_path_factory.mktemp("searched")
    dataset = prepare("digits", cache=place / "cache", say=lambda line: None)
    config = StudyConfig(
        study="tiny",
        data="digits",
        fingerprint=dataset.fingerprint,
        classes=dataset.classes,
        height=dataset.height,
        width=dataset.width,
        channels=dataset.channels,
        epochs=2,
        images=300,
        flip=False,
        pruner="none",
        sampler="random",
    )
    root = place / "studies"
    root.mkdir()
    study = create_study(config, dataset.folder, None, root)
    assert study is not None
    claims = Claims(study.storage, study.study_id, "worker-1")
    work(Worker(study, fork_server, claims, Stop(), threads=os.cpu_count() or 1), lambda: TRIALS)
    study.optuna.enqueue_trial({})
    return study


@pytest.fixture(scope="session")
def said_by_made() -> list[str]:
    """What ``made`` has said to people, line by line."""
    return []


@pytest.fixture(scope="session")
def export_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Export a study's best trial, by the real writers, from made-up outputs; of files where they are to have names."""

    def export(study: LoadedStudy, named: bool = False, **more: Any) -> Path:
        folder = tmp_path_factory.mktemp("export")
        config, trial = study.config, study.ranked()[0]
        scored = made_up_scores(len(config.classes))
        if named:
            scored = replace(scored, names=[f"pictures/{n:04}.png" for n in range(len(scored.test.labels))])
        said = trial.user_attrs
        lengths = (said["epochs"], said["kept_epoch"], said["seconds"])
        training = TrainingResult(more.pop("refit", False), 0, *lengths, said["history"], said)
        request = ExportRequest(study, trial, training.refit, ExportOptions.given("s"), (), (), print)
        summary = {**summarise(request, training, scored, 1), **more}
        write_files(folder, request, training, scored, summary)
        return folder

    return export


def made_up_scores(classes: int) -> ScoringResult:
    chance = np.random.default_rng(0)
    labels = np.arange(20 * classes, dtype=np.int64) % classes
    logits = chance.normal(size=(len(labels), classes)).astype(np.float32)
    logits[np.arange(len(labels)), labels] += 2
    scores = Scores(labels, logits)
    worst = scores.mistaken[:6]
    pixels = chance.integers(0, 255, (len(worst), 8, 8, 1)).astype(np.uint8)
    return ScoringResult(scores, scores, 300, scores, scores, None, Mistakes(worst, pixels))


@pytest.fixture(scope="session")
def warm_checks(
    fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], AbstractContextManager[None]]:
    """Within ``warm_checks()`` an export's files are checked in children of the fork server.

    They say the same as the fresh processes, which import TensorFlow for seconds each; ``test_verification`` and
    ``test_whole_search`` have one of those.
    """
    log = tmp_path_factory.mktemp("checks") / "log.txt"

    def verify_warm(file_format: str, file: Path, stored: Path, backend: str, name: str) -> None:
        payload = {"arguments": [file_format, str(file), str(stored)]}
        try:
            with fork_server.start("export_jobs:verify", payload, log) as child:
                problem = child.result()["problem"]
        except TrialFailed as error:
            raise StudyStopped(f"{name}, loaded anew, fails: {error}") from error
        if problem:
            raise StudyStopped(f"{name}, loaded anew, fails: {problem}")

    @contextmanager
    def warm() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("search.exporting.builder.verify_in_fresh_process", verify_warm)
            patch.setattr("search.exporting.formats.verify_in_fresh_process", verify_warm)
            yield

    return warm


@pytest.fixture(scope="session")
def made(
    searched: LoadedStudy,
    fork_server: ForkServer,
    tmp_path_factory: pytest.TempPathFactory,
    said_by_made: list[str],
    warm_checks: Callable[[], AbstractContextManager[None]],
) -> Export:
    """The best trial of ``searched``, exported, its files checked as ``warm_checks`` does; not to be written to."""
    out = tmp_path_factory.mktemp("exports") / "tiny"
    root = searched.paths.root
    with warm_checks():
        return export_study("tiny", root=root, out=out, server=fork_server, say=said_by_made.append)


@pytest.fixture(scope="session")
def export(searched: LoadedStudy, fork_server: ForkServer, warm_checks: Any) -> Callable[..., Export]:
    """Export the study ``tiny`` once more, its files checked as ``warm_checks`` does."""

    def make(out: Path, **more: Any) -> Export:
        with warm_checks():
            return export_study(
                "tiny", root=searched.paths.root, out=out, server=fork_server, say=lambda line: None, **more
            )

    return make


@pytest.fixture
def open_digits(digits: Dataset, tmp_path: Path, url: str) -> Callable[..., LoadedStudy]:
    """Open the study ``s`` of digits and ``in_child/small_space.py`` in every kind of database; all waits are short."""

    def make(**more: Any) -> LoadedStudy:
        said = {"data": "digits", "space": "small_space", "sampler": "random", "pruner": "none"}
        places = {"root": tmp_path / "studies", "cache": digits.folder.parent, "storage": url}
        opened = open_study(RunOptions.given("s", **{**said, "epochs": 1, "images": 200, **places, **more}))
        opened.storage.use_timeouts(SHORT)
        return opened

    return make


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small tmpfs cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def small_disk() -> Callable[[Path], AbstractContextManager[Path]]:
    """Within ``small_disk(folder)`` that folder lies, empty, on a disk of 8 KiB."""
    return _small_disk


@pytest.fixture
def until() -> Callable[..., Any]:
    """Wait until what is called gives something true, and give that; the end of the wait says how it ``stands``."""

    def wait(ready: Callable[[], Any], seconds: float = 60.0, stands: Callable[[], Any] = str) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := ready()):
            if time.monotonic() > deadline:
                pytest.fail(f"it did not come to this within {seconds:.0f} s {stands()}")
            time.sleep(0.02)
        return found

    return wait


@pytest.fixture(scope="session")
def new_server_folder(postgres: PostgresServer) -> Iterator[Callable[[], Path]]:
    """Names folders for servers of our own, in memory where possible; servers in them are stopped in the end.

    As root such a server is another user's, who may not enter pytest's folders. (``postgres`` says why there is none.)
    """
    above = Path(tempfile.mkdtemp(prefix="pg", dir=MEMORY if MEMORY.is_dir() else "/tmp"))
    above.chmod(0o755)
    numbers = iter(range(1000))
    yield lambda: above / str(next(numbers))
    for folder in above.iterdir():
        if (folder / "data" / "base").is_dir():
            stop_server(folder)
    shutil.rmtree(above)


@pytest.fixture(scope="session")
def server_folder(new_server_folder: Callable[[], Path]) -> Path:
    """The folder of a server that listens on its Unix socket alone; whoever stops it starts it again."""
    made = new_server_folder()
    start_server(made)
    return made


@pytest.fixture
def private_server(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> ServerFolder:
    """The same, with what its user has exported."""
    status = server_status(server_folder)
    monkeypatch.setenv("PGPASSFILE", status.password_file)
    monkeypatch.setenv("SEARCH_STORAGE", status.url)
    return ServerFolder(server_folder)


class Commands:
    """Our commands in processes of their own; all that these start carries their mark in its environment.

    They train and draw as ``fast_server`` does, unless ``SEARCH_TEST_TRAINING=""`` is given.
    """

    def __init__(self, place: Path) -> None:
        self._mark = f"SEARCH_TEST_MARK={uuid.uuid4().hex}"
        self._place = place
        self._started: list[subprocess.Popen[str]] = []

    def start(self, module: str, *arguments: object, **environment: str) -> "subprocess.Popen[str]":
        """``python -m module arguments``; what it prints comes from its ``communicate``."""
        name, _, mark = self._mark.partition("=")
        path = os.pathsep.join([str(IN_CHILD.parents[2]), str(IN_CHILD)])
        process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=self._place,
            env={
                **os.environ,
                "PYTHONPATH": path,
                "SEARCH_TEST_TRAINING": "numpy",
                name: mark,
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._started.append(process)
        return process

    def alive(self) -> list[int]:
        """The processes that are there: the commands, and all that they have started."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                marked = self._mark.encode() in (place / "environ").read_bytes()
            except OSError:
                continue
            if marked and process_exists(int(place.name)):
                found.append(int(place.name))
        return found

    def close(self) -> None:
        """End them all."""
        for pid in self.alive():
            os.kill(pid, signal.SIGKILL)
        for process in self._started:
            process.communicate()


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    started = Commands(tmp_path)
    yield started
    started.close()


@pytest.fixture
def run_app(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command's app in this process: its exit code, and what it printed and complained of."""

    def run(app: Any, *arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(app, list(map(str, arguments)))
        printed = capsys.readouterr()
        return int(str(end.value.code)), printed.out, printed.err

    return run


@pytest.fixture
def predict(made: Export, capsys: pytest.CaptureFixture[str]) -> Callable[[list[str]], tuple[int, str, str]]:
    """The command ``search.predict`` in this process: exit code, what it printed, what it printed as errors."""

    def called(arguments: list[str]) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(app, arguments if "--model" in arguments else ["--model", str(made.folder), *arguments])
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return called
