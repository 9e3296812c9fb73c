"""Bad input through the real command: one line, exit code 2, nothing written, no traceback."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pytest
from PIL import Image

from search.cli.app import main
from search.config.study_config import StudyConfig
from search.run import app

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory, with a cache of its own beside it."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # Optuna's handler holds the standard error of whichever test came first, closed by now.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return here


def tree(folder: Path) -> set[Path]:
    # SQLite's own two beside a database come and go with its connections.
    return {path for path in folder.rglob("*") if path.suffix not in (".db-wal", ".db-shm")}


def refusal(argv: list[str], capsys: pytest.CaptureFixture[str], place: Path) -> str:
    """The one line that the command says, after all that a refusal promises was checked."""
    before = tree(place)
    with pytest.raises(SystemExit) as end:
        main(app, argv)
    captured = capsys.readouterr()
    assert end.value.code == 2, captured
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("error: ")
    assert tree(place) == before
    return lines[0]


def prepared(place: Path) -> list[Path]:
    """What lies in the cache, but for locks."""
    return [path for path in tree(place.parent / "cache") if path.suffix in (".npy", ".json")]


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["--trials", "0"], "--trials 0"),
        (["--trials", "-3"], "--trials -3"),
        (["--trials", "many"], "--trials"),
        (["--trials", "99999999999"], "--trials 99999999999"),
        (["--epochs", "0"], "--epochs 0"),
        (["--images", "-1"], "--images -1"),
        (["--image-size", "1"], "--image-size 1"),
        (["--image-size", "100000"], "--image-size 100000"),
        (["--validation", "0"], "--validation 0"),
        (["--validation", "1.5"], "--validation 1.5"),
        (["--validation", "nan"], "--validation nan"),
        (["--test", "-0.2"], "--test -0.2"),
        (["--folds", "1"], "--folds 1"),
        (["--folds", "21"], "--folds 21"),
        (["--folds", "some"], "--folds"),
        (["--seed", "-1"], "--seed -1"),
        (["--early-stopping", "-1"], "--early-stopping -1"),
        (["--max-parameters", "0"], "--max-parameters 0"),
        (["--gpu-memory", "0"], "--gpu-memory 0"),
        (["--gpu-memory", "inf"], "--gpu-memory inf"),
        (["--timeout", "0"], "--timeout '0'"),
        (["--timeout", "-2h"], "--timeout '-2h'"),
        (["--timeout", "soon"], "--timeout 'soon'"),
        (["--budget", "1PB"], "--budget '1PB'"),
        (["--budget", "0PFLOP"], "--budget '0PFLOP'"),
        (["--max-cost", "-170MFLOP"], "--max-cost '-170MFLOP'"),
        (["--max-cost", "cheap"], "--max-cost 'cheap'"),
        (
            ["--metric", "f1"],
            "--metric 'f1': expected one of accuracy, macro_f1, balanced_accuracy, auc, recall:CLASS",
        ),
        (["--sampler", "guess"], "--sampler 'guess'"),
        (["--pruner", "guess"], "--pruner 'guess'"),
        (["--resize", "squash"], "--resize 'squash'"),
        (["--class-weights", "heavy"], "--class-weights 'heavy'"),
        (["--backend", "mxnet"], "--backend 'mxnet'"),
        (["--refit", "--refit-epochs", "0"], "--refit-epochs 0"),
        (["--refit", "--no-export"], "--no-export"),
        (["--confirm", "--no-export"], "--confirm makes an export"),
        (["--try", "missing.toml"], "missing.toml"),
        (["--trails", "5"], "--trails"),
        (["surplus"], "surplus"),
    ],
)
def test_run_refuses_a_flag_before_anything_heavy(
    argv: list[str],
    named: str,
    capsys: pytest.CaptureFixture[str],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Whatever reaches the search itself fails here: refusals come first.
    for name in ("run", "explanation"):
        monkeypatch.setitem(sys.modules, f"search.workflows.{name}", None)
    assert named in refusal(["--study", "s", "--data", "digits", *argv], capsys, place)


@pytest.mark.parametrize("name", ["a/b", "../up", "/abs", "", ".", "-", "a b", "x" * 101, "ä"])
def test_run_refuses_a_study_name_that_is_no_name(
    name: str, capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    assert "--study" in refusal([f"--study={name}", "--data", "digits"], capsys, place)


def test_run_refuses_to_go_without_a_study(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    assert "--study" in refusal([], capsys, place)


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["--study", "unheard_of"], "--data"),
        (["--study", "s", "--preset", "unheard_of"], "unheard_of"),
        (["--study", "s", "--data", "unheard_of"], "unheard_of"),
        (["--study", "s", "--data", "no/such/folder"], "no/such/folder"),
        (["--study", "s", "--data", "digits", "--space", "unheard_of"], "unheard_of"),
        (["--study", "s", "--data", "digits", "--space", "my_package.unheard_of"], "unheard_of"),
        (["--study", "s", "--data", "digits", "--storage", "nonsense"], "--storage"),
        (["--study", "s", "--data", "digits", "--storage", "sqlite://"], "--storage"),
        (["--study", "s", "--data", "digits", "--storage", "sqlite:///file.txt/search.db"], "--storage"),
    ],
)
def test_run_refuses_what_it_cannot_find(
    argv: list[str], named: str, capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    (place / "file.txt").write_text("a file is no folder")
    assert named in refusal(argv, capsys, place)
    assert not prepared(place)


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["--study", "cifar_filters"], "run python -m search.sweep --study cifar_filters"),
        (["--study", "s", "--data", "digits", "--space", "typo"], "typo"),
        (["--study", "s", "--data", "digits", "--folds", "5", "--validation", "0.2"], "--folds 5"),
    ],
)
def test_run_refuses_what_cannot_be_before_a_framework_is_imported(
    argv: list[str],
    named: str,
    capsys: pytest.CaptureFixture[str],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(backend: str) -> None:
        pytest.fail("a server was started")

    monkeypatch.setattr("search.workflows.run.ForkServer", start)
    (place / "exports" / "cifar_filters").mkdir(parents=True)
    (place / "exports" / "cifar_filters" / "sweep.csv").write_text("")
    assert named in refusal(argv, capsys, place)


def test_run_refuses_a_database_url_without_showing_its_password(
    capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    url = "nosuchdatabase://me:sesame@localhost/studies"
    argv = ["--study", "s", "--data", "digits", "--storage", url]
    assert "sesame" not in refusal(argv, capsys, place)


def pictures(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.full((8, 8, 3), number % 256, np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def empty(data: Path) -> None:
    data.mkdir()


def one_class(data: Path) -> None:
    pictures(data / "only", 12)


def too_few(data: Path) -> None:
    pictures(data / "many", 12)
    pictures(data / "rare", 1)


def a_corrupt_image(data: Path) -> None:
    pictures(data / "cats", 12)
    pictures(data / "dogs", 12)
    broken = data / "dogs" / "broken.png"
    broken.write_bytes((data / "dogs" / "3.png").read_bytes()[:50])


@pytest.mark.parametrize(
    ("make", "named"),
    [(empty, "photos"), (one_class, "only"), (too_few, "rare"), (a_corrupt_image, "broken.png")],
)
def test_run_refuses_a_folder(
    make: Callable[[Path], None], named: str, capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    make(place / "photos")
    assert named in refusal(["--study", "s", "--data", "photos"], capsys, place)
    assert not prepared(place)


@pytest.mark.parametrize("images", ["9", "5000"], ids=["under one a class", "more than there are"])
def test_run_refuses_a_number_of_images(images: str, capsys: pytest.CaptureFixture[str], place: Path) -> None:
    assert "--images" in refusal(["--study", "s", "--data", "digits", "--images", images], capsys, place)


def ten_of_each(data: Path) -> None:
    pictures(data / "ants", 20)
    pictures(data / "bees", 10)


def test_run_refuses_folds_of_these_images(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    ten_of_each(place / "photos")
    refused = refusal(["--study", "s", "--data", "photos", "--folds", "10"], capsys, place)
    assert "class 'bees' has 8 training images" in refused


@pytest.mark.parametrize("more", [["--validation", "0.2"], ["--images", "12"]], ids=lambda more: more[0])
def test_run_refuses_folds_beside_what_they_replace(
    more: list[str], capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    argv = ["--study", "s", "--data", "digits", "--folds", "5", *more]
    assert f"{more[0]} {more[1]}: says nothing beside --folds 5" in refusal(argv, capsys, place)
    assert not prepared(place)


def test_run_refuses_other_folds_than_the_study_has(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    from search.study.finding import create_study

    config = StudyConfig("s", "elsewhere", "f" * 32, ("a", "b"), 8, 8, 1, folds=3)
    create_study(config, place, None, Path("studies"))
    for argv, named in (
        (["--folds", "5"], "--folds 5: study s was made with 3"),
        (["--validation", "0.1"], "--validation 0.1: study s is cross-validated in 3 folds"),
    ):
        assert named in refusal(["--study", "s", *argv], capsys, place)


def arrays(**changed: np.ndarray | None) -> dict[str, np.ndarray]:
    labels = np.arange(40) % 4
    images = np.zeros((40, 8, 8, 3), np.uint8)
    whole = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels, **changed}
    return {key: value for key, value in whole.items() if value is not None}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"x_test": None}, "x_test"),
        ({"y_train": np.array([{}] * 40)}, "data.npz"),
        ({"y_test": np.arange(40) - 1}, "data.npz"),
        ({"y_train": np.arange(39) % 4}, "39"),
    ],
    ids=["a key is missing", "pickled", "labels out of range", "lengths differ"],
)
def test_run_refuses_an_npz(
    changed: dict[str, np.ndarray | None], named: str, capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    np.savez(place / "data.npz", **arrays(**changed))
    assert named in refusal(["--study", "s", "--data", "data.npz"], capsys, place)
    assert not prepared(place)


@pytest.mark.parametrize("text", ["filters = ", "what = 1"], ids=["no TOML", "no parameter of the space"])
def test_run_refuses_a_configuration_to_try(
    text: str, capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    (place / "mine.toml").write_text(text)
    argv = ["--study", "s", "--data", "digits", "--try", "mine.toml"]
    assert "mine.toml" in refusal(argv, capsys, place)


def test_run_refuses_a_study_made_for_other_data(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    from search.study.finding import create_study

    config = StudyConfig("s", "elsewhere", "f" * 32, ("a", "b"), 8, 8, 1)
    create_study(config, place, None, Path("studies"))
    with pytest.raises(SystemExit) as end:
        main(app, ["--study", "s", "--data", "digits"])
    error = capsys.readouterr().err
    assert end.value.code == 2, error
    assert error.count("\n") == 1
    assert "data" in error


def test_export_refuses_a_study_with_no_finished_trial(
    capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    from search import export
    from search.study.finding import create_study

    create_study(StudyConfig("s", "elsewhere", "f" * 32, ("a", "b"), 8, 8, 1), place, None, Path("studies"))
    with pytest.raises(SystemExit) as end:
        main(export.app, ["--study", "s"])
    error = capsys.readouterr().err
    assert end.value.code == 2, error
    assert error.count("\n") == 1
    assert not (place / "exports").exists()


def test_run_in_a_process_of_its_own_refuses_with_one_line(place: Path) -> None:
    command = [sys.executable, "-m", "search.run", "--study", "a/b"]
    process = subprocess.run(
        command, env={"PYTHONPATH": str(ROOT)}, cwd=place, capture_output=True, text=True, timeout=60
    )
    assert (process.returncode, process.stdout, process.stderr.count("\n")) == (2, "", 1)
    assert process.stderr.startswith("error: --study 'a/b': expected a name")
    assert not tree(place)
