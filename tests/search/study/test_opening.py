"""A study opened for a search: made, gone on with, or refused with nothing written."""

import dataclasses
import importlib.util
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from search.config.settings import RunOptions
from search.config.study_config import StudyConfig
from search.data import Dataset, prepare
from search.errors import InputError
from search.execution.planning import plan_training
from search.process.choice import check_backend
from search.study import opening
from search.study.class_balance import print_balance
from search.study.creation import new_config, prepare_new
from search.study.finding import create_study, find_study
from search.study.first_trials import read_trial
from search.study.opening import open_study
from search.study.study import DATASET, LoadedStudy
from search.training.plan import TrainingPlan
from spaces import cnn, photo_cnn
from spaces.contract import InputSpec
from spaces.recipe import Recipe


@pytest.fixture
def request_for(digits: Dataset, tmp_path: Path):
    """Make a request for the study ``s`` of digits, whose images are prepared already."""

    def make(**more: Any) -> RunOptions:
        places = {"root": tmp_path / "studies", "cache": digits.folder.parent}
        return RunOptions.given(**{"study": "s", "data": "digits", "space": "small_space", **places, **more})

    return make


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures of two classes and many sizes."""
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(0, 256, (60 + number, 80, 3), "uint8")
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def test_pictures_that_are_there_twice_are_warned_of_once_where_two_sizes_are_prepared(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (photos / "cat" / "again.png").write_bytes((photos / "cat" / "0.png").read_bytes())
    options = RunOptions.given("pets", data=photos, root=tmp_path / "studies", cache=tmp_path / "cache")
    with caplog.at_level("INFO"):
        prepare_new(options, 48, True)
        prepare_new(options, 32, True, opening._without_warnings)
    said = [record.getMessage() for record in caplog.records]
    assert sum("near-duplicates: " in line for line in said) == 1
    assert sum(line.startswith("prepared ") for line in said) == 2


def test_folder_alone_makes_a_study_of_what_is_chosen_which_is_said(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("search.study.automatic_settings.backbones_at_hand", lambda cache: [])
    monkeypatch.setattr("search.study.photograph_settings.training_speed", lambda: 1e15)
    options = RunOptions.given(
        "pets", data=photos, root=tmp_path / "studies", cache=tmp_path / "cache", seed=3
    )
    with caplog.at_level("INFO"):
        opened = open_study(options)
    config = opened.config
    assert (config.space, config.image_size, config.final_epochs, opened.wanted) == ("photo_cnn", 128, 20, 30)
    assert config.folds == 5
    said = [record.getMessage() for record in caplog.records]
    assert "  --space photo_cnn: nets that begin from nothing" in "\n".join(said)
    assert "  --folds 5: a part held out of so few images would say little" in said
    # It goes on as it was made, whatever would be chosen by now.
    monkeypatch.setattr("search.study.opening.choose_settings", pytest.fail)
    assert open_study(options).config == config


def queued(study) -> list[dict[str, Any]]:
    return [trial.system_attrs["fixed_params"] for trial in study.optuna.trials]


def test_new_study_is_stored_with_what_was_said(request_for) -> None:
    opened = open_study(request_for(trials=7, epochs=3, images=100, metric="loss", max_cost=5e6))
    found = find_study("s", None, opened.paths.root)
    assert found is not None
    assert found.config == opened.config
    assert found.wanted == 7
    assert (found.config.epochs, found.config.images, found.config.metric) == (3, 100, "loss")
    assert found.config.max_cost == 5_000_000
    assert found.config.flip is False  # A mirrored digit is another one.


def test_spaces_own_default_is_queued_first_then_what_shall_be_tried(request_for, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("width = 20\nrate = 0.02\ndropout = 0.25\n")
    opened = open_study(request_for(try_first=[file, {"width": 5, "rate": 0.5, "dropout": 0.0}]))
    assert [values["width"] for values in queued(opened)] == [16, 20, 5]
    assert queued(opened)[0] == {"width": 16, "rate": 0.05, "dropout": 0.1}


def test_study_opened_again_queues_nothing_twice(request_for) -> None:
    for _ in range(2):
        opened = open_study(request_for())
    assert len(queued(opened)) == 1


def test_study_goes_on_without_its_data_being_said(request_for) -> None:
    first = open_study(request_for(epochs=3))
    again = open_study(request_for(data=None, space=None, trials=9))
    assert again.study_id == first.study_id
    assert again.config == first.config
    assert again.wanted == 9


def test_studies_of_two_seeds_are_tested_on_the_same_images(request_for) -> None:
    first, second = (open_study(request_for(study=f"s{seed}", seed=seed)) for seed in (0, 1))
    assert first.config.fingerprint == second.config.fingerprint
    parts = [plan_of(study).split(study.dataset()) for study in (first, second)]
    assert parts[0].validation.tolist() != parts[1].validation.tolist()


def test_study_that_drew_its_test_images_by_its_own_seed_finds_them_again(
    request_for, tmp_path: Path
) -> None:
    dataset = prepare("digits", seed=1, cache=tmp_path / "then")
    config = {**json.loads(open_study(request_for(seed=1)).config.to_json()), "study": "old"}
    del config["test_seed"]
    old = StudyConfig.from_json(json.dumps({**config, "fingerprint": dataset.fingerprint}))
    create_study(old, dataset.folder, None, tmp_path / "studies")
    again = open_study(request_for(study="old", cache=tmp_path / "now"))
    assert again.dataset().fingerprint == dataset.fingerprint


def test_study_goes_on_with_its_data_resized_as_before(request_for) -> None:
    first = open_study(request_for(image_size=6, resize="fit"))
    again = open_study(request_for(image_size=6))
    assert (again.config.resize, again.dataset().preprocessing["resize"]) == ("fit", "fit")
    assert again.study_id == first.study_id


def test_preset_fills_in_what_was_not_said(request_for) -> None:
    opened = open_study(request_for(study="digits_cnn", data=None, space=None, epochs=4))
    assert (opened.config.data, opened.config.space, opened.config.epochs) == ("digits", "cnn", 4)
    assert opened.wanted == 20


def test_space_tries_no_more_of_its_own_than_the_study_shall_have(request_for) -> None:
    own = cnn.first(InputSpec(8, 8, 1, 10))
    assert len(own) == 3
    assert queued(open_study(request_for(space="cnn", trials=1))) == own[:1]
    assert queued(open_study(request_for(space="cnn", trials=2))) == own[:2]  # More are wanted now.
    assert queued(open_study(request_for(space="cnn", trials=9))) == own


def test_folder_preset_is_for_photographs(request_for, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    data = (images, np.arange(40) % 2, images[:10], np.arange(10) % 2)
    opened = open_study(request_for(preset="folder_cnn", data=data, space=None, cache=tmp_path / "cache"))
    config = opened.config
    assert (config.space, config.image_size, config.height, opened.wanted) == ("photo_cnn", 128, 128, 30)
    assert queued(opened) == photo_cnn.first(config.input_spec)


def test_images_of_a_preset_are_all_where_there_are_fewer(request_for) -> None:
    opened = open_study(request_for(preset="cifar_cnn"))
    assert opened.config.images is None


def grey_images(count: int) -> Any:
    """As ``--data`` takes arrays: so many training images of two classes, none like another."""
    images = np.random.default_rng(0).integers(0, 256, (count + 10, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(count + 10) % 2
    return images[:count], labels[:count], images[count:], labels[count:]


@pytest.mark.parametrize(
    ("images", "said", "folds"),
    [
        (90, {}, 5),
        (1200, {}, 3),
        (2000, {}, 0),
        (8, {}, 4),
        (4, {}, 0),
        (90, {"validation": 0.2}, 0),
        (90, {"images": 50}, 0),
        (90, {"confirm": True}, 0),
        (90, {"folds": 2}, 2),
        (2000, {"folds": 3}, 3),
    ],
)
def test_few_images_are_dealt_into_folds_unless_something_is_said_against_it(
    request_for, tmp_path: Path, images: int, said: dict[str, Any], folds: int
) -> None:
    config = open_study(request_for(data=grey_images(images), cache=tmp_path / "cache", **said)).config
    assert config.folds == folds
    assert len(config.fold_of) == (images if folds else 0)
    assert set(config.fold_of) == set("0123456789"[:folds])


def test_equal_training_images_of_a_new_study_are_in_one_fold(request_for, tmp_path: Path) -> None:
    images, labels, *test = grey_images(90)
    images[40:80] = np.tile(images[:20], (2, 1, 1, 1))
    opened = open_study(request_for(data=(images, labels, *test), cache=tmp_path / "cache"))
    assert opened.config.fold_of[40:80] == 2 * opened.config.fold_of[:20]


def test_data_with_a_validation_part_of_its_own_is_not_dealt_into_folds() -> None:
    images: Any = SimpleNamespace(
        fingerprint="f",
        classes=("a", "b"),
        height=8,
        width=8,
        channels=1,
        source="d",
        test_digest="",
        flip=False,
        validation_images=20,
        train_counts=(50, 50),
    )
    assert new_config(RunOptions("s"), images, folds_by_default=True).folds == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": 4}, "--epochs 4: study s was made with 3"),
        ({"space": "cnn"}, "--space cnn: study s was made with small_space"),
        ({"seed": 1}, "--seed 1: study s was made with 0"),
        ({"metric": "loss"}, "--metric loss: study s was made with accuracy"),
        ({"validation": 0.3}, "--validation 0.3: study s is cross-validated in 3 folds"),
        ({"max_cost": 1e6}, "--max-cost 1000000: study s was made with"),
        ({"early_stopping": 2}, "--early-stopping 2: study s was made with 0"),
        ({"resize": "crop"}, "--resize crop: study s was made with stretch"),
    ],
)
def test_study_made_otherwise_is_refused(request_for, change: dict[str, Any], said: str) -> None:
    open_study(request_for(epochs=3))
    with pytest.raises(InputError) as refused:
        open_study(request_for(**{"epochs": 3, **change}))
    assert str(refused.value).startswith(said)


def test_fine_tuning_of_a_study_without_a_backbone_is_refused_when_it_goes_on(request_for) -> None:
    open_study(request_for())
    with pytest.raises(InputError, match="--fine-tune 2: space small_space of study s has no backbone"):
        open_study(request_for(data=None, space=None, fine_tune=2))


def test_study_made_for_other_images_is_refused(request_for, tmp_path: Path) -> None:
    open_study(request_for())
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (60, 8, 8, 1), dtype=np.uint8), np.arange(60) % 3
    with pytest.raises(InputError, match="study s was made for other images"):
        open_study(request_for(data=(images, labels, images[:30], labels[:30]), cache=tmp_path / "cache"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"study": "a/b"}, "--study"),
        ({"preset": "imagenet"}, "--preset 'imagenet'"),
        ({"trials": 0}, "--trials 0"),
        ({"space": "no_such_space"}, "--space no_such_space: unknown"),
        ({"try_first": [Path("nowhere.toml")]}, "--try nowhere.toml: cannot be read"),
        ({"data": "nowhere"}, "--data 'nowhere'"),
        ({"data": None}, "--study s: no such study yet"),
        ({"epochs": 0}, "--epochs 0"),
        ({"resize": "squash"}, "--resize 'squash'"),
        ({"images": 5000}, "--images 5000"),
        ({"try_first": [{"width": 7}]}, "--try {'width': 7}: rate is missing"),
        ({"fine_tune": 2}, "--fine-tune 2: space small_space of study s has no backbone"),
        ({"folds": 5, "confirm": True, "epochs": 2}, "--confirm: study s is searched in 5 folds"),
        ({"storage": "mysql://me:secret@host/db"}, "--storage mysql://me:***@host/db"),
    ],
)
def test_wrong_request_is_refused_with_nothing_written(
    request_for, more: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as refused:
        open_study(request_for(**more))
    assert str(refused.value).startswith(said)
    assert not (tmp_path / "studies").exists()


def test_configuration_to_try_comes_from_toml_or_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("filters = 32\n")
    assert read_trial(file) == read_trial({"filters": 32}) == {"filters": 32}
    file.write_text("filters: 32\n")
    with pytest.raises(InputError, match="cannot be read as TOML"):
        read_trial(file)


def test_balance_is_printed_and_a_large_class_warned_of(
    request_for, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = np.repeat([0, 1], [80, 20])
    images = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 1), dtype=np.uint8)
    data = (images, labels, images[::4], labels[::4])
    opened = open_study(
        request_for(data=data, cache=tmp_path / "cache", study="uneven", validation=0.1, epochs=2)
    )
    printed = capsys.readouterr().out
    assert "training: 90 images: 0 72, 1 18" in printed
    assert "warning: the largest class has 4.0 times the images of the smallest" in printed
    print_balance(dataclasses.replace(opened.config, class_weights="balanced"), opened.dataset())
    assert "warning" not in capsys.readouterr().out


def test_backend_is_the_one_asked_for_or_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert check_backend(None) == "tensorflow"
    if importlib.util.find_spec("jax") is not None:
        monkeypatch.setenv("KERAS_BACKEND", "jax")
        assert check_backend(None) == "jax"
        assert check_backend("tensorflow") == "tensorflow"


def test_backend_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^--backend torch: not installed here"):
        check_backend("torch")
    with pytest.raises(InputError, match=r"^--backend 'theano'"):
        check_backend("theano")


def test_cache_that_has_moved_is_found_by_those_who_come_later(
    request_for, digits: Dataset, tmp_path: Path
) -> None:
    first = open_study(request_for())
    first.optuna.set_user_attr(DATASET, str(tmp_path / "gone" / digits.fingerprint))
    open_study(request_for())
    found = find_study("s", None, first.paths.root)
    assert found is not None
    assert found.dataset().folder == digits.folder


@pytest.mark.parametrize("name", ["search.db", "search.db.claim.lock", "s.SQLITE3", "s.html"])
def test_new_study_whose_name_is_that_of_a_file_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=rf"^--study {re.escape(name)}: looks like a file; expected .*such as s"
    ):
        open_study(RunOptions.given(name, data="digits", root=tmp_path / "studies"))
    assert list(tmp_path.iterdir()) == []


def test_new_study_whose_folder_would_be_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(
        InputError, match=r"^--study notes: .*notes is a file, where .*; choose another name$"
    ):
        open_study(RunOptions.given("notes", data="digits", root=tmp_path))
    assert (tmp_path / "notes").read_text() == "mine"


@pytest.fixture
def request_of_parts(request_for, tmp_path: Path):
    """Make a request for a study of a folder with a validation part, of which each patient has two images."""
    numbers = np.random.default_rng(0)
    for part, patients in {"train": range(6), "val": range(6, 8), "test": range(8, 10)}.items():
        for kind in "ab":
            for patient in patients:
                folder = tmp_path / "photos" / part / kind
                folder.mkdir(parents=True, exist_ok=True)
                for index in range(2):
                    pixels = numbers.integers(0, 256, (8, 8), dtype=np.uint8)
                    Image.fromarray(pixels).save(folder / f"p{patient}_{index}.png")

    def make(**more: Any) -> RunOptions:
        return request_for(**{"data": tmp_path / "photos", "cache": tmp_path / "cache", **more})

    return make


def plan_of(study: LoadedStudy, **more: Any) -> TrainingPlan:
    return dataclasses.replace(plan_training(study, 0, {}, Recipe(), 1), **more)


def test_trials_validate_on_the_datas_own_part(request_of_parts) -> None:
    opened = open_study(request_of_parts(epochs=4))
    assert opened.config.validation_images == 8
    chosen = plan_of(opened).split(opened.dataset())
    assert (chosen.train.tolist(), chosen.validation.tolist()) == (list(range(24)), list(range(24, 32)))
    assert open_study(request_of_parts(epochs=4)).config == opened.config


@pytest.mark.parametrize(("name", "value"), [("validation", 0.1), ("folds", 3)])
def test_what_the_datas_own_part_stands_for_is_refused(request_of_parts, name: str, value: float) -> None:
    message = (
        f"^--{name} {value}: the data has a validation part of its own, of 8 images, .* leave the flag out"
    )
    with pytest.raises(InputError, match=message):
        open_study(request_of_parts(**{name: value}))
    open_study(request_of_parts())
    with pytest.raises(InputError, match=message):
        open_study(request_of_parts(**{name: value}))


def test_groups_are_kept_whole_in_every_fold_and_asked_for_again_alike(
    request_of_parts, tmp_path: Path
) -> None:
    train = tmp_path / "photos" / "train"
    opened = open_study(request_of_parts(data=train, groups=r"p\d", folds=3, test=0.3))
    groups = opened.dataset().rule().groups
    assert len(set(groups)) == 4
    for which in range(3):
        chosen = plan_of(opened, folds=3, fold=which).split(opened.dataset())
        assert not set(groups[chosen.train]) & set(groups[chosen.validation])
    assert open_study(request_of_parts(data=train)).config == opened.config
    with pytest.raises(
        InputError, match=r"^--groups x: study s was made with p\\d; leave the flag out, or choose"
    ):
        open_study(request_of_parts(data=train, groups="x"))
    with pytest.raises(
        InputError, match=r"^class 'a' is in 4 groups .* too few for --folds 5: expected at least 5"
    ):
        open_study(request_of_parts(study="t", data=train, groups=r"p\d", folds=5, test=0.3))


def test_study_of_an_older_version_left_its_validation_part_out(request_of_parts, tmp_path: Path) -> None:
    (tmp_path / "photos" / "val").rename(tmp_path / "val")
    first = open_study(request_of_parts())
    (tmp_path / "val").rename(tmp_path / "photos" / "val")
    assert open_study(request_of_parts()).config == first.config


def test_length_of_a_refit_is_taken_where_the_images_turn_out_to_be_in_folds(request_for) -> None:
    """The export of a study in folds is a refit, asked for or not."""
    assert open_study(request_for(epochs=3, images=None, refit_epochs=2)).config.folds == 3
    with pytest.raises(InputError, match="--refit-epochs 2 says nothing without --refit"):
        open_study(request_for(study="other", epochs=3, images=None, refit_epochs=2, validation=0.1))


def test_length_of_the_final_training_is_known_as_said_only_where_somebody_said_it(
    request_for, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run made it four times as long, of few images, since that command did not say it again."""
    assert open_study(request_for(space="cnn", final="3 epochs")).final_said
    assert not open_study(request_for(study="other", space="cnn")).final_said
    monkeypatch.setattr("search.study.automatic_settings.backbones_at_hand", lambda cache: [])
    monkeypatch.setattr("search.study.photograph_settings.training_speed", lambda: 1e15)
    places = {"root": tmp_path / "studies", "cache": tmp_path / "cache"}
    assert not open_study(RunOptions.given("pets", data=photos, **places)).final_said, "it was chosen"
