"""The dashboard as people start it, and as a browser sees it."""

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.postgres import PostgresServer
from search.cli.app import main
from search.config.settings import RunOptions
from search.dashboard import app
from search.data import Dataset
from search.execution.stop_requests import Stop
from search.execution.worker import Worker
from search.execution.worker_loop import work
from search.process.fork_server import ForkServer
from search.study.opening import open_study
from search.study.study import LoadedStudy
from search.web import drawing
from search.web.attachments import artifacts_of
from search.web.dashboard import make_application
from search.web.guard import MOST_BYTES
from search.web.listening import listen, port_of
from search.web.read_only import STYLE
from search.web.study_page import feed_export, feed_study
from storage.claims import Claims
from storage.timeouts import Timeouts
from tests.serving import Serving

PASSWORD = "a good password"
NAMES = frozenset({"127.0.0.1", "localhost"})


class Served:
    """A dashboard on a port of its own, in threads of this process."""

    def __init__(self, study: LoadedStudy, password: str | None = None, allow_changes: bool = False) -> None:
        self.study = study
        application = make_application(study, NAMES, password, allow_changes)
        server = listen(application, "127.0.0.1", 0, 4, MOST_BYTES)
        self.port = port_of(server)
        self._serving = Serving(server)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def page(self) -> str:
        return f"{self.address}/dashboard/studies/{self.study.study_id}"

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(
                method, path, text, {"Content-Type": "application/json", "Accept-Encoding": "gzip", **headers}
            )
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def close(self) -> None:
        self._serving.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    started: list[Served] = []

    def start(*arguments: Any, **settings: Any) -> Served:
        started.append(Served(*arguments, **settings))
        return started[-1]

    yield start
    for one in started:
        one.close()


class DrawingHere:
    """A fork server that has its children train, and draws in this process what they would draw."""

    def __init__(self, server: ForkServer) -> None:
        self._server = server

    def revive(self) -> bool:
        return self._server.revive()

    def start(self, job: str, payload: dict[str, Any], *more: Any, **named: Any) -> Any:
        if job != "search.web.drawing:draw":
            return self._server.start(job, payload, *more, **named)
        said: list[dict[str, Any]] = []
        drawing.draw(payload, SimpleNamespace(send=said.append))
        return nullcontext(SimpleNamespace(result=lambda seconds: said.pop()))


@pytest.fixture(scope="module")
def fed(
    digits: Dataset,
    fast_server: ForkServer,
    export_of: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> LoadedStudy:
    """The study ``tiny`` with two trials and an export, and all that they leave for the dashboard."""
    root = tmp_path_factory.mktemp("fed") / "studies"
    said = {"data": "digits", "space": "small_space", "pruner": "none", "sampler": "random", "trials": 2}
    study = open_study(
        RunOptions.given("tiny", epochs=2, images=300, root=root, cache=digits.folder.parent, **said)
    )
    server: Any = DrawingHere(fast_server)
    feed_study(study, server)
    claims = Claims(study.storage, study.study_id, "worker-1")
    work(Worker(study, server, claims, Stop(), threads=1), lambda: study.wanted)
    folder = export_of(study)
    summary = json.loads((folder / "summary.json").read_text())
    feed_export(study, folder, summary, (folder / "classification_report.txt").read_text())
    return study


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open an address; the page has what it asked others for and complained of as ``strangers`` and ``complained``."""
    contexts = []

    def open_page(address: str, **settings: Any) -> Any:
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 900}, **settings))
        contexts[-1].set_default_timeout(120_000)  # The machine may be busy with other tests' trainings.
        page = contexts[-1].new_page()
        page.strangers, page.complained = [], []
        own = (address.split("/dashboard")[0], "data:", "blob:")
        page.on("request", lambda one: None if one.url.startswith(own) else page.strangers.append(one.url))
        page.on("console", lambda message: page.complained.append(message.text))
        page.on("pageerror", lambda error: page.complained.append(str(error)))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(app, arguments)
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (("--study", "none"), "no such study"),
        (("--study", "tiny", "--port", "70000"), "expected a number from 0 to 65535"),
        (("--study", "tiny", "--host", "0.0.0.0"), "pass --password-file"),
        (("--study", "tiny", "--host", "no.such.host.invalid"), "no address of this host"),
        (("--study", "tiny", "--password-file", "/nowhere"), "--password-file /nowhere: cannot be read"),
        (("--study", "tiny", "--host", "127.0.0.1", "--port", "1x"), "is no whole number"),
    ],
)
def test_wrong_input_is_one_line(
    fed: LoadedStudy, capsys: pytest.CaptureFixture[str], said: tuple[str, ...], expected: str
) -> None:
    assert run(*said, "--studies", str(fed.paths.root)) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert len(error.strip().splitlines()) == 1


def test_port_that_is_taken_is_one_line(
    fed: LoadedStudy, serve: Callable[..., Served], capsys: pytest.CaptureFixture[str]
) -> None:
    taken = str(serve(fed).port)
    assert run("--study", "tiny", "--studies", str(fed.paths.root), "--port", taken) == 2
    assert f"--port {taken}: cannot be listened on" in capsys.readouterr().err


def test_address_asks_for_the_password(fed: LoadedStudy, serve: Callable[..., Served]) -> None:
    served = serve(fed, PASSWORD)
    assert served.ask("/api/studies")[0] == 401
    assert served.ask("/api/studies", Authorization="Basic bWU6d3Jvbmc=")[0] == 401
    assert served.ask("/api/studies", Authorization="Basic bWU6YSBnb29kIHBhc3N3b3Jk")[0] == 200


def test_address_by_another_name_or_from_another_site_is_refused(
    fed: LoadedStudy, serve: Callable[..., Served]
) -> None:
    served = serve(fed, allow_changes=True)
    study = f"/api/studies/{fed.study_id}"
    assert served.ask(study, Host="evil.example")[0] == 421
    assert served.ask(study, "DELETE", {}, Origin="https://evil.example")[0] == 403
    assert served.ask(study)[0] == 200


@pytest.mark.parametrize(
    "name",
    [
        "../search.db",
        "..%2f..%2fsearch.db",
        "%2e%2e/%2e%2e/search.db",
        "..%5csearch.db",
        "%2fetc%2fpasswd",
        "00000000-0000-0000-0000-000000000000",
        "",
    ],
)
def test_artifact_by_any_other_name_is_not_served(
    fed: LoadedStudy, serve: Callable[..., Served], name: str
) -> None:
    served = serve(fed)
    for place in (f"/artifacts/{fed.study_id}", f"/artifacts/{fed.study_id}/1"):
        status, body = served.ask(f"{place}/{name}")
        assert status == 404
        assert b"SQLite format" not in body
        assert b"root:" not in body


def test_artifact_of_another_trial_is_not_served(fed: LoadedStudy, serve: Callable[..., Served]) -> None:
    name = artifacts_of(fed)["confusion_matrix.png"]
    served = serve(fed)
    assert served.ask(f"/artifacts/{fed.study_id}/{name}")[0] == 200
    assert served.ask(f"/artifacts/{fed.study_id}/1/{name}")[0] == 404
    assert served.ask(f"/artifacts/{fed.study_id}/{10**6}/{name}")[0] == 404
    assert served.ask(f"/artifacts/{fed.study_id + 1}/{name}")[0] == 404


def test_read_only_dashboard_writes_nothing(fed: LoadedStudy, serve: Callable[..., Served]) -> None:
    served = serve(fed)
    study = f"/api/studies/{fed.study_id}"
    assert served.ask(study, "DELETE", {})[0] == 403
    assert served.ask(f"{study}/note", "PUT", {"version": 99, "body": "mine"})[0] == 403
    assert served.ask("/api/trials/1/tell", "POST", {"state": "fail"})[0] == 403
    assert served.ask("/api/trials/1/user-attrs", "POST", {"user_attrs": {"a": 1}})[0] == 403
    assert served.ask("/api/studies", "POST", {"study_name": "x", "directions": ["minimize"]})[0] == 403
    assert fed.optuna.get_trials()[0].state.name == "COMPLETE"


def test_allowed_changes_are_made(open_digits, serve: Callable[..., Served]) -> None:
    study: LoadedStudy = open_digits()
    served = serve(study, allow_changes=True)
    address, own = f"/api/studies/{study.study_id}", {"Origin": served.address}
    assert served.ask(f"{address}/note", "PUT", {"version": 1, "body": "mine"}, **own)[0] == 204
    assert json.loads(served.ask(address)[1])["note"]["body"] == "mine"
    assert served.ask(address, "DELETE", {}, **own)[0] == 204
    assert study.storage.get_all_studies() == []


@pytest.mark.slow
def test_database_that_restarts_is_an_error_page_and_then_comes_back(
    postgres: PostgresServer, digits, tmp_path: Path, serve: Callable[..., Served], until
) -> None:
    with PostgresServer() as frail:
        said = {"data": "digits", "space": "small_space", "epochs": 1, "images": 200}
        places = {"root": tmp_path / "studies", "cache": digits.folder.parent, "storage": frail.database()}
        study = open_study(RunOptions.given("s", **said, **places))
        study.storage.use_timeouts(Timeouts(grace=3.0))
        served = serve(study)
        page, api = f"/dashboard/studies/{study.study_id}", f"/api/studies/{study.study_id}"
        assert (served.ask(page)[0], served.ask(api)[0]) == (200, 200)
        frail.stop()
        status, body = served.ask(page)
        assert status == 503
        assert b"the database does not answer" in body
        assert served.ask(api)[0] == 503
        frail.start()
        until(lambda: served.ask(api)[0] == 200)
        assert served.ask(page)[0] == 200
        study.storage.close()


@pytest.mark.slow
def test_page_of_a_trial_shows_note_pictures_and_values(
    fed: LoadedStudy, serve: Callable[..., Served], opened: Callable[..., Any]
) -> None:
    page = opened(f"{serve(fed).page}/trials?numbers=0")
    trial = fed.optuna.trials[0]
    page.get_by_text("Trial 0: finished").wait_for()
    assert page.get_by_text("Intermediate Values").first.is_visible()
    text = page.inner_text("body")
    assert f"validation accuracy {trial.value:.4f}" in text
    for step, value in trial.intermediate_values.items():
        assert f"{value:.4f}"[:5] in text, f"step {step}"
    loaded = (
        "[...document.images].filter(one => one.src.includes('/artifacts/')).map(one => one.naturalWidth)"
    )
    page.wait_for_function(f"{loaded}.length >= 2 && {loaded}.every(width => width > 100)")
    assert (page.strangers, page.complained) == ([], [])


@pytest.mark.slow
def test_page_of_a_study_asks_for_its_trials_once_and_before_its_script_runs(
    fed: LoadedStudy, serve: Callable[..., Served], opened: Callable[..., Any]
) -> None:
    page = opened(serve(fed).page)
    page.wait_for_function("document.querySelectorAll('#plot-history .point').length > 0")
    asked = page.evaluate(
        "performance.getEntriesByType('resource').map(one => [one.name.split('/').pop(), one.initiatorType])"
    )
    trials = [kind for name, kind in asked if name == f"{fed.study_id}?after=0"]
    assert trials == ["link"]
    assert (page.strangers, page.complained) == ([], [])


@pytest.mark.slow
def test_page_of_a_study_shows_the_exports_matrix(
    fed: LoadedStudy, serve: Callable[..., Served], opened: Callable[..., Any]
) -> None:
    page = opened(f"{serve(fed).page}/note")
    page.get_by_role("heading", name="The export").wait_for()
    # It is loaded once it is in view; until then the page may put another element in its place.
    page.wait_for_function(
        "[...document.images].some(one => one.alt === 'Confusion matrix on the test images' "
        "&& (one.scrollIntoView(), one.naturalWidth > 100))"
    )
    assert "macro avg" in page.inner_text("body")
    assert (page.strangers, page.complained) == ([], [])
    edit = page.locator('svg[data-testid="EditIcon"]')
    assert (edit.count(), edit.is_visible()) == (1, False)


@pytest.mark.slow
def test_page_itself_cannot_write_where_it_only_reads(
    fed: LoadedStudy, serve: Callable[..., Served], opened: Callable[..., Any]
) -> None:
    page = opened(serve(fed).page)
    status = page.evaluate(
        f"fetch('/api/studies/{fed.study_id}', {{method: 'DELETE'}}).then(one => one.status)"
    )
    assert status == 403
    assert fed.optuna.get_trials()
    for icon in ("UploadFileIcon", "DeleteIcon"):  # They are there, for those who may change something.
        button = page.locator(f'svg[data-testid="{icon}"]').first
        button.wait_for(state="attached")
        assert not button.is_visible()


def test_page_that_only_reads_hides_what_it_refuses(fed: LoadedStudy, serve: Callable[..., Served]) -> None:
    page = f"/dashboard/studies/{fed.study_id}/note"
    status, body = serve(fed).ask(page, **{"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"})
    assert status == 200
    assert STYLE in body
    assert STYLE not in serve(fed, allow_changes=True).ask(page)[1]


@pytest.mark.slow
def test_browser_with_the_password_sees_the_study(
    fed: LoadedStudy, serve: Callable[..., Served], opened: Callable[..., Any]
) -> None:
    served = serve(fed, PASSWORD)
    known = {"username": "me", "password": PASSWORD}
    page = opened(served.page, http_credentials=known)
    page.get_by_text("tiny (id=").wait_for()
    assert "History" in page.inner_text("body")
