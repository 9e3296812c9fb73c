from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from search.cli.app import main
from search.config.settings import RunOptions
from search.data import Dataset
from search.data.backbones_at_hand import AtHand
from search.presets import PRESETS
from search.run import app
from search.study import automatic_settings
from search.study.opening import open_study

Explain = Callable[..., tuple[str, set[Path]]]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (60 + number, 80)).save(tmp_path / "photos" / name / f"{number}.jpg")
    return tmp_path / "photos"


@pytest.fixture
def explain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Explain:
    """Run the command with ``--explain``: what it prints, and the files that it leaves."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))
    lite = AtHand("lite.keras", "lite", "in /cache", 10_000_000)
    monkeypatch.setattr(automatic_settings, "backbones_at_hand", lambda cache: [lite])

    def run(*arguments: str) -> tuple[str, set[Path]]:
        with pytest.raises(SystemExit) as end:
            main(app, [*arguments, "--explain"])
        assert end.value.code in (0, None)
        return capsys.readouterr().out, set(here.rglob("*"))

    return run


def test_new_study_of_a_folder_is_explained_and_nothing_is_started(explain: Explain, photos: Path) -> None:
    said, left = explain("--study", "pets", "--data", str(photos), "--trials", "3")
    assert said.startswith("study pets is new\nchosen for 16 training images of 2 classes")
    assert "\n  --backbone lite.keras: lite in /cache\n" in said
    assert "\nas given: --trials 3\n" in said
    assert not left


def test_every_preset_is_explained(explain: Explain) -> None:
    said, _ = explain("--study", "pets")
    assert "no images are named: pass --data" in said
    lines = {line.split(":")[0].strip(): line for line in said.splitlines() if line.startswith("  ")}
    assert lines.keys() >= PRESETS.keys()
    assert "--data cifar10 --space cnn --trials 50 --final 0.2PFLOP --images 10000" in lines["cifar_cnn"]
    assert "--epochs 20" in lines["folder_transfer"]
    assert "a sweep of filters" in lines["cifar_filters"]


def test_preset_is_explained_with_what_is_given_beside_it(explain: Explain, photos: Path) -> None:
    said, _ = explain(
        "--study", "pets", "--preset", "folder_cnn", "--data", str(photos), "--image-size", "64"
    )
    assert "the preset folder_cnn sets the images that you name with --data, --space photo_cnn" in said
    assert "as given: --image-size 64" in said
    assert "--timeout" not in said


def test_preset_beside_a_time_is_explained_with_what_that_does(explain: Explain) -> None:
    said, _ = explain("--study", "digits_cnn", "--timeout", "5m")
    assert (
        "folds that nobody asks for give way to a part held out where they leave too little of --timeout"
        in said
    )
    assert "without folds, its final training is no longer than fits in --timeout" in said


def test_chosen_folds_are_explained_with_what_a_budget_does_to_them(explain: Explain) -> None:
    """``--folds 3`` was promised of a search that then held a part out."""
    said, _ = explain("--study", "s", "--data", "digits", "--budget", "5GFLOP")
    assert "--folds 3" in said
    assert (
        "folds that nobody asks for give way to a part held out where they leave too little of --budget"
        in said
    )
    said, _ = explain("--study", "s", "--data", "digits", "--budget", "5GFLOP", "--folds", "3")
    assert "give way" not in said


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--gpus", "all"], "--gpus all: no GPU found here"),
        (["--workers", "2", "--per-gpu", "2"], "--per-gpu 2 says nothing without --gpus"),
        (["--refit-epochs", "3", "--no-refit"], "--refit-epochs 3 says nothing beside --no-refit"),
        (["--out", "mine"], "--out mine"),
    ],
)
def test_what_a_search_would_refuse_is_refused(
    more: list[str],
    named: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    monkeypatch.setattr("search.engines.resources.visible_gpus", list)
    with pytest.raises(SystemExit) as end:
        main(app, ["--study", "s", "--data", "digits", "--explain", *more])
    assert end.value.code == 2
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(
    ("study", "data", "asked"),
    [
        ("s", "photos", ["--images", "15"]),
        ("s", "photos", ["--metric", "recall:nope"]),
        ("s", "parts", ["--images", "17"]),
        ("s", "parts", ["--validation", "0.2"]),
        ("digits_cnn", "", ["--images", "1295"]),
        ("digits_cnn", "", ["--metric", "recall:ten"]),
    ],
)
def test_what_the_images_of_a_new_study_refuse_is_refused_in_the_words_of_the_search(
    study: str, data: str, asked: list[str], photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = photos.parent
    for part, count in (("train", 8), ("val", 2), ("test", 2)):
        for name in ("cat", "dog"):
            (here / "parts" / part / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (8, 8), (number, 0, 0)).save(here / "parts" / part / name / f"{number}.png")
    command = ["--study", study, "--studies", str(here / "studies"), "--cache", str(here / "cache"), *asked]
    command += ["--data", str(here / data), "--space", "cnn", "--image-size", "8"] if data else []
    said = []
    for more in (["--explain"], []):
        with pytest.raises(SystemExit) as end:
            main(app, [*command, *more])
        assert end.value.code == 2
        said.append(capsys.readouterr().err.splitlines()[-1])
    assert said[0] == said[1]


@pytest.mark.parametrize("asked", [["--images", "14"], ["--metric", "recall:cat"]])
def test_what_the_images_of_a_new_study_allow_is_explained(
    explain: Explain, photos: Path, asked: list[str]
) -> None:
    assert explain("--study", "s", "--data", str(photos), *asked)[0].startswith("study s is new\n")


def test_stored_study_is_explained_with_the_final_training_that_its_trials_are_for(
    explain: Explain, tmp_path: Path, digits: Dataset
) -> None:
    root = tmp_path / "studies"
    made = RunOptions.given(
        "s", data="digits", space="cnn", final="3 epochs", root=root, cache=digits.folder.parent
    )
    study = open_study(made)
    said, _ = explain("--study", "s", "--studies", str(root))
    of_study = said.partition("\n\n")[0]
    assert f"\n  --final {study.config.final}FLOP\n" in of_study
    assert of_study.endswith("takes as much as 3 epochs of the default configuration")
    flags = [line.split()[0] for line in of_study.splitlines() if line.startswith("  --")]
    assert "--epochs" not in flags
    assert "study s is there, with 0 of 50 trials" in said
    assert explain("--study", "s", "--studies", str(root), "--trials", "7")[0].startswith(
        "study s is there, with 0 of 7 trials"
    )
    again = RunOptions.given("s", final=f"{study.config.final}FLOP", root=root, cache=digits.folder.parent)
    assert open_study(again).config == study.config


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (["--study", "s", "--final", "4epochs"], "--final 4epochs"),
        (["--study", "s", "--metric", "loss"], "--metric loss"),
        (["--study", "new", "--data", "digits", "--final", "3epochs", "--epochs", "1"], "--final 3epochs"),
    ],
)
def test_what_a_run_would_refuse_is_not_explained(
    explain: Explain, tmp_path: Path, digits: Dataset, asked: list[str], named: str, capsys: Any
) -> None:
    root = tmp_path / "studies"
    places = {"root": root, "cache": digits.folder.parent}
    open_study(RunOptions.given("s", data="digits", space="cnn", final="3 epochs", **places))
    with pytest.raises(SystemExit) as end:
        main(app, [*asked, "--studies", str(root), "--explain"])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {named}")
