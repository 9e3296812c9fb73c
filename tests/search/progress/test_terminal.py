import io
import threading
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from rich.console import Console

from search.formatting import duration
from search.progress.notebook import NotebookScreen, in_notebook, table_html
from search.progress.terminal import LineScreen, Progress, TableScreen, disk_warning, table
from search.study.snapshot import Ended, Running, Snapshot, StartedWorker, read_snapshot
from search.study.snapshot_words import ended_line, headline, running_cells, running_heads
from storage.connect import open_storage

PARAMS = {
    "blocks": 3,
    "filters": 48,
    "growth": 1.4623,
    "dense": 128,
    "dropout": 0.2134,
    "rate": 1.31,
    "weight_decay": 0.00051234,
    "augmentation": 1.2,
}


def a_snapshot(ended: int = 3) -> Snapshot:
    trials = [Ended(number, "finished", 0.8 + number / 100, 12, 310.0, PARAMS) for number in range(ended)]
    pruned = Ended(ended, "pruned", 0.6, 3, 80.0, PARAMS)
    failed = Ended(ended + 1, "failed", params=PARAMS, reason="too large")
    running = [Running(18, "host-1", 3, 12, 0.7421, 1203.4, 395.0), Running(19, "host-2")]
    return Snapshot("cifar_cnn", "accuracy", 50, [*trials, pruned, failed], running, trials[-1], 5405.0)


def a_terminal(width: int = 80, **environ: str) -> Console:
    return Console(
        file=io.StringIO(), force_terminal=True, width=width, _environ={"TERM": "xterm-256color", **environ}
    )


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    """Two finished trials, one pruned, one failed and one in training, in a real database."""
    storage = open_storage(f"sqlite:///{tmp_path / 'search.db'}")
    study = optuna.create_study(storage=storage, study_name="digits_cnn", direction="maximize")
    for value, state in ((0.91, "COMPLETE"), (0.95, "COMPLETE"), (0.4, "PRUNED"), (None, "FAIL")):
        trial = study.ask()
        trial.suggest_int("filters", 8, 64)
        trial.report(value or 0.1, 1)
        trial.set_user_attr("epochs", 10 if state == "COMPLETE" else 2)
        trial.set_user_attr("seconds", 20.0)
        study.tell(trial, value if state == "COMPLETE" else None, state=TrialState[state])
    running = study.ask()
    life = {"worker": "w1", "host": "here", "pid": 1, "epoch": 4, "epochs": 10, "value": 0.88, "time": 0.0}
    study._storage.set_trial_system_attr(running._trial_id, "life", {**life, "images_per_second": 500.0})
    return study


@pytest.fixture
def one_running(tmp_path: Path) -> Callable[..., Snapshot]:
    """Read a study of four trials of which the first is in training, with these facts in its sign of life."""

    def read(**facts: object) -> Snapshot:
        storage = open_storage(f"sqlite:///{tmp_path / 'one.db'}")
        study = optuna.create_study(storage=storage, study_name="one", direction="maximize")
        life = {"worker": "w1", "epoch": 4, "epochs": 10, "value": 0.88, "images_per_second": 500.0}
        life |= {"epoch_images": 1000, **facts}
        study._storage.set_trial_system_attr(study.ask()._trial_id, "life", life)
        return read_snapshot(study, metric="accuracy", wanted=4)

    return read


def test_snapshot_of_a_study_counts_each_state(study: optuna.Study) -> None:
    snapshot = read_snapshot(study, metric="accuracy", wanted=10)
    counts = [snapshot.count(state) for state in ("finished", "pruned", "failed")]
    assert counts == [2, 1, 1]


def test_snapshot_best_is_the_best_finished_trial(study: optuna.Study) -> None:
    best = read_snapshot(study, metric="accuracy", wanted=10).best
    assert best is not None
    assert (best.number, best.value, best.params) == (1, 0.95, study.trials[1].params)


def test_snapshot_best_of_those_with_one_value_is_the_surest(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 'search.db'}")
    study = optuna.create_study(study_name="s", storage=storage, direction="maximize")
    for tie_break in (0.3, 0.2, 0.4):
        study.add_trial(optuna.trial.create_trial(value=0.9, user_attrs={"least_loss": tie_break}))
    best = read_snapshot(study, metric="accuracy").best
    assert best is not None
    assert best.number == 1


def test_snapshot_best_of_a_loss_is_the_smallest(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 'search.db'}")
    study = optuna.create_study(storage=storage, study_name="by_loss", direction="minimize")
    for value in (0.7, 0.3, 0.5):
        study.tell(study.ask(), value)
    best = read_snapshot(study, metric="loss").best
    assert best is not None
    assert best.value == 0.3


def test_snapshot_running_trial_shows_its_workers_last_word(study: optuna.Study) -> None:
    (running,) = read_snapshot(study, metric="accuracy", training_images=1000).running
    assert running == Running(4, "w1", 4, 10, 0.88, 500.0, seconds_left=12.0, host="here", whole_seconds=20.0)


def test_snapshot_tells_where_a_trial_runs_and_when_its_worker_was_last_heard_of(study: optuna.Study) -> None:
    running = study.trials[4]
    life = {**running.system_attrs["life"], "device": "GPU:0", "time": 1000.0}
    study._storage.set_trial_system_attr(running._trial_id, "life", life)
    (seen,) = read_snapshot(study, metric="accuracy", now=1003.5).running
    assert (seen.worker, seen.host, seen.device, seen.silent) == ("w1", "here", "GPU:0", 3.5)


def test_snapshot_of_a_clock_that_is_behind_shows_no_negative_age(study: optuna.Study) -> None:
    running = study.trials[4]
    life = {**running.system_attrs["life"], "time": 1000.0}
    study._storage.set_trial_system_attr(running._trial_id, "life", life)
    (seen,) = read_snapshot(study, metric="accuracy", now=999.0).running
    assert seen.silent == 0.0


def test_snapshot_running_trial_shows_an_epoch_that_no_sign_of_life_has_told_yet(study: optuna.Study) -> None:
    running = study.trials[4]
    study._storage.set_trial_intermediate_value(running._trial_id, 5, 0.91)
    (seen,) = read_snapshot(study, metric="accuracy").running
    assert (seen.epoch, seen.value) == (5, 0.91)


def test_snapshot_running_trial_without_a_sign_of_life_shows_dashes(study: optuna.Study) -> None:
    study.ask()
    snapshot = read_snapshot(study, metric="accuracy", now=1000.0)
    assert running_cells(snapshot.running[1]) == ("-", "-", "5", "starts", "-", "-", "-", "-")


def test_snapshot_counts_waiting_trials_apart(study: optuna.Study) -> None:
    for filters in (8, 9):
        study.enqueue_trial({"filters": filters})
    snapshot = read_snapshot(study, metric="accuracy", wanted=10)
    assert snapshot.waiting == 2
    assert (len(snapshot.ended), len(snapshot.running)) == (4, 1)
    assert ", 1 failed, 2 waiting, about" in headline(snapshot)


def test_headline_says_nothing_of_waiting_where_nothing_waits(study: optuna.Study) -> None:
    assert "waiting" not in headline(read_snapshot(study, metric="accuracy", wanted=10))


def test_row_of_a_worker_shows_its_device_and_its_last_sign_of_life() -> None:
    trial = Running(3, "here-77", 2, 12, 0.5, 1500.0, 90.0, "here", "GPU:1", 65.2)
    assert running_heads("accuracy") == (
        "worker", "device", "trial", "epoch", "accuracy", "images/s", "time left", "seen"
    )  # fmt: skip
    assert running_cells(trial) == (
        "here-77", "GPU:1", "3", "2/12", "0.5000", "1,500", "1 min 30 s", "1 min 05 s ago"
    )  # fmt: skip


def test_snapshot_of_a_trial_in_folds_counts_its_epochs_through_all_of_them(study: optuna.Study) -> None:
    running = study.trials[4]
    life = {**running.system_attrs["life"], "epoch": 14, "epochs": 30, "fold": 2}
    study._storage.set_trial_system_attr(running._trial_id, "life", life)
    study._storage.set_trial_intermediate_value(running._trial_id, 1, 0.91)
    (seen,) = read_snapshot(study, metric="accuracy", training_images=1000).running
    assert running_cells(seen)[3:7] == ("14/30, fold 2", "0.8800", "500", "32 s")


def test_line_of_an_ended_trial_names_its_finished_folds() -> None:
    line = ended_line(Ended(3, "pruned", 0.7, 8, 20.0, {}, "pruned after fold 2 of 5", 2), "accuracy")
    assert line.startswith("trial 3 pruned: accuracy 0.7000, 2 folds, 8 epochs in all, 20 s")


def test_snapshot_time_left_counts_what_running_trials_have_done(study: optuna.Study) -> None:
    # 10 wanted, 3 count already, 0.4 of one is done; 20 s each, one worker.
    assert read_snapshot(study, metric="accuracy", wanted=10).seconds_left == pytest.approx(6.6 * 20)


def test_first_trial_in_training_tells_how_long_a_trial_and_the_study_take(
    one_running: Callable[..., Snapshot],
) -> None:
    # 10 epochs of 1,000 images at 500 a second; 4.5 are done; 4 trials.
    snapshot = one_running(part=0.5)
    assert snapshot.running[0].seconds_left == pytest.approx(5.5 * 2)
    assert snapshot.trial_seconds == pytest.approx(20)
    assert snapshot.seconds_left == pytest.approx((4 - 0.4) * 20)
    assert headline(snapshot).endswith("0 failed, up to about 1 min 12 s left")


def test_trial_takes_what_it_took_so_far_and_the_rest_by_its_pace(
    one_running: Callable[..., Snapshot],
) -> None:
    snapshot = one_running(spent=9.0, epoch_seconds=3.0)  # Of which five went into its start.
    assert snapshot.running[0].seconds_left == pytest.approx(6 * 3.0)
    assert snapshot.trial_seconds == pytest.approx(9.0 + 6 * 3.0)


def test_trial_whose_pace_is_not_known_yet_tells_nothing(one_running: Callable[..., Snapshot]) -> None:
    snapshot = one_running(paced=False)
    assert (snapshot.running[0].seconds_left, snapshot.trial_seconds, snapshot.seconds_left) == (None,) * 3


def test_backbones_features_tell_how_long_they_take(one_running: Callable[..., Snapshot]) -> None:
    snapshot = one_running(images_per_second=None, features=0.3, features_left=70.0)
    assert running_cells(snapshot.running[0])[3:7] == ("features 30 %", "0.8800", "-", "1 min 10 s")


def test_lines_say_the_pace_once_and_a_table_shows_it() -> None:
    snapshot = Snapshot("cifar_cnn", wanted=50, pace="a trial takes about 4 min")
    lines_on, table_on = Console(file=io.StringIO()), Console(file=io.StringIO(), width=80)
    screen = LineScreen(lines_on, None)
    screen.show(snapshot)
    screen.show(snapshot)
    table_on.print(table(snapshot))
    for console in (lines_on, table_on):
        assert written(console).splitlines().count("a trial takes about 4 min") == 1
    assert "<p>a trial takes about 4\N{NO-BREAK SPACE}min</p>" in table_html(snapshot)


def test_snapshot_of_an_empty_study_has_no_best_and_no_estimate(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 'search.db'}")
    study = optuna.create_study(storage=storage, study_name="empty")
    snapshot = read_snapshot(study, metric="accuracy", wanted=10)
    assert (snapshot.best, snapshot.seconds_left, list(snapshot.running)) == (None, None, [])


@pytest.mark.parametrize("width", [80, 120])
def test_table_fits_the_terminal_and_shows_everything(width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    console.print(table(a_snapshot(), Path("studies/cifar_cnn/logs/w1.log")))
    lines = written(console).splitlines()
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= width
    for shown in (
        "cifar_cnn: 4 of 50 (3 finished, 1 pruned), 1 failed, about 1 h 30 min left",
        "best accuracy 0.8200, trial 2: blocks=3,",
        "host-1 - 18 3/12 0.7421 1,203 6 min 35 s -",
        "host-2 - 19 starts - - - -",
        "log: studies/cifar_cnn/logs/w1.log",
    ):
        assert shown in text, lines


@pytest.fixture
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TableScreen, "seconds", 0.02)


def test_progress_on_a_terminal_redraws_in_place(look_often, until) -> None:
    console = a_terminal()
    with Progress(a_snapshot, console):
        until(lambda: written(console).count("cifar_cnn: 4 of 50") >= 3)
    text = written(console)
    assert "\x1b[1A" in text, "the cursor goes up to draw over the last table"
    assert "\x1b[?25h" in text, "the cursor is given back"


def test_progress_with_no_color_draws_without_colour() -> None:
    coloured, plain = a_terminal(), a_terminal(NO_COLOR="1")
    for console in (coloured, plain):
        console.print(table(a_snapshot(), trouble="the database did not answer"))
    assert "\x1b[33m" in written(coloured)
    assert "\x1b[33m" not in written(plain)


def test_progress_without_a_terminal_prints_one_line_an_ended_trial() -> None:
    console = Console(file=io.StringIO(), width=40)
    screen = LineScreen(console, Path("w1.log"))
    screen.show(Snapshot("cifar_cnn", wanted=50))
    screen.show(a_snapshot(1))
    screen.show(a_snapshot(1))
    lines = written(console).splitlines()
    assert lines[:2] == ["cifar_cnn: 0 of 50 (0 finished, 0 pruned), 0 failed", "log: w1.log"]
    assert [line.split(":")[0] for line in lines[2:]] == [
        "trial 0 finished",
        "trial 1 pruned",
        "trial 2 failed (too large)",
    ]
    assert "accuracy 0.8000, 12 epochs, 5 min 10 s, blocks=3, filters=48" in lines[2]


def test_progress_without_a_terminal_passes_over_trials_of_before() -> None:
    console = Console(file=io.StringIO())
    LineScreen(console, None).show(a_snapshot())
    assert len(written(console).splitlines()) == 1


def test_progress_without_a_terminal_says_what_becomes_of_each_worker_that_an_engine_started() -> None:
    console = Console(file=io.StringIO())
    screen = LineScreen(console, None)
    for state, detail in (
        ("waiting", "Priority"),
        ("waiting", "Resources"),
        ("running", "node1"),
        ("ended", ""),
    ):
        screen.show(Snapshot("s", started=[StartedWorker("7_1", state, detail, "log")]))
    assert written(console).splitlines()[1:] == ["7_1 waiting (Priority)", "7_1 running (node1)", "7_1 ended"]


def test_progress_on_a_dumb_terminal_prints_lines() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    with Progress(a_snapshot, console):
        pass
    assert "\x1b[" not in written(console)


def test_progress_shows_what_ended_between_the_last_poll_and_the_end() -> None:
    console = Console(file=io.StringIO())
    snapshots = [Snapshot("cifar_cnn", wanted=50), a_snapshot(1)]
    with Progress(lambda: snapshots.pop(0), console):
        pass
    assert "trial 0 finished" in written(console)


def test_progress_survives_a_database_that_does_not_answer(look_often, until) -> None:
    console = a_terminal()
    calls = threading.Event()

    def read() -> Snapshot:
        if not calls.is_set():
            calls.set()
            return a_snapshot()
        raise OSError("locked")

    with Progress(read, console):
        until(lambda: "the database did not answer (locked); trying again" in written(console))


def test_progress_leaves_an_exception_of_the_search_alone() -> None:
    with pytest.raises(KeyboardInterrupt), Progress(a_snapshot, a_terminal()):
        raise KeyboardInterrupt


def test_progress_from_a_thread_reads_a_real_database(study: optuna.Study, look_often, until) -> None:
    console = a_terminal(120)
    readers = set()

    def read() -> Snapshot:
        readers.add(threading.current_thread().name)
        return read_snapshot(study, metric="accuracy", wanted=10)

    with Progress(read, console):
        until(lambda: "progress" in readers)
    assert "digits_cnn: 3 of 10 (2 finished, 1 pruned), 1 failed" in written(console)
    assert "did not answer" not in written(console)


def test_table_screen_and_line_screen_close_without_a_snapshot() -> None:
    table_on, lines_on = a_terminal(), a_terminal()
    TableScreen(table_on, None).close()
    LineScreen(lines_on, None).close()
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    # The terminal's cursor is back.
    assert written(table_on).rindex(shown) > written(table_on).rindex(hidden)
    assert written(lines_on) == ""


def test_notebook_table_escapes_what_it_shows() -> None:
    html = table_html(Snapshot("<b>", running=[Running(0, "<script>")]), Path("a&b.log"))
    assert "<script>" not in html
    assert "a&amp;b.log" in html


def test_notebook_is_not_taken_for_a_plain_process() -> None:
    assert not in_notebook()


def test_notebook_screen_replaces_its_table_in_place() -> None:
    IPython = pytest.importorskip("IPython", reason="IPython is not installed: pip install -e '.[test]'")  # noqa: N806
    from IPython.utils.capture import capture_output

    shell = IPython.InteractiveShell.instance()
    try:
        with capture_output() as captured:
            screen = NotebookScreen(Path("w1.log"))
            screen.show(a_snapshot())
            screen.close()
    finally:
        shell.clear_instance()
    first, second = captured._outputs
    assert first["transient"]["display_id"] == second["transient"]["display_id"]
    assert second["update"]
    assert "3/12" in second["data"]["text/html"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (45, "45 s"), (59.9, "1 min 00 s"), (200, "3 min 20 s"), (3900, "1 h 05 min")],
)
def test_duration_of_seconds_reads_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_full_disk_is_said_while_the_database_waits_for_room(tmp_path: Path, monkeypatch) -> None:
    """SQLite's file lies there: a worker that cannot write tries again for minutes, and cannot even log it."""
    disk = types.SimpleNamespace(free=2**20)
    monkeypatch.setattr("search.progress.terminal.shutil.disk_usage", lambda folder: disk)
    assert "is full (1.0 MiB are left)" in disk_warning(tmp_path)
    disk.free = 2**30
    assert disk_warning(tmp_path) == ""


def test_metric_of_a_class_that_looks_like_markup_is_shown_as_it_is() -> None:
    console = a_terminal(120)
    console.print(table(replace(a_snapshot(), metric="recall:[/bold]")))
    assert "[/bold]" in written(console)


def test_notebook_shows_exports_and_started_workers_as_a_terminal_does() -> None:
    started = [StartedWorker("job_1", "waiting", "Resources", "job_1.log")]
    html = table_html(replace(a_snapshot(), exports=["export of trial 3"], started=started))
    assert "<p>at work: export of trial 3</p>" in html
    assert "<td>job_1</td><td>waiting</td><td>Resources</td><td>job_1.log</td>" in html
