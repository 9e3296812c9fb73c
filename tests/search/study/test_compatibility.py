"""Joining a study: the same images wherever they lie, the same version of the space, a word about other libraries."""

import dataclasses
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState, create_trial
from PIL import Image

import spaces
from search.config.study_config import StudyConfig
from search.data import Dataset
from search.data.preparation import prepare
from search.errors import InputError
from search.study.compatibility import BACKEND, VERSIONS, check_joining, find_images, surroundings
from search.study.finding import create_study
from search.study.space_version import RAISED, SPACE, check_code, renew_space, space_digest, space_facts
from search.study.study import LoadedStudy
from search.study.sweep_cells import FIXED
from spaces.contract import Space
from storage.liveness import HEARTBEAT

IN_CHILD = Path(__file__).parents[1] / "in_child"
DIGEST = """
import spaces
from search.config.study_config import StudyConfig
from search.study.space_version import space_digest

for name in ("small_space", "cnn", "cnn_wide"):
    print(space_digest(spaces.load(name), StudyConfig("s", "digits", "f" * 32, ("a", "b"), 8, 8, 1)))
"""


def paint_classes(folder: Path, first: int = 0) -> Path:
    """A folder of two classes of twelve pictures of noise."""
    for number in range(24):
        inside = folder / ("cats" if number % 2 else "dogs")
        inside.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(first + number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(inside / f"{number:03}.png")
    return folder


def space_of(folder: Path, changed: tuple[str, str] = ("", "")) -> Space:
    """``small_space`` as it is in ``folder``: the same module's name, some words of it perhaps changed."""
    folder.mkdir()
    text = (IN_CHILD / "small_space.py").read_text()
    assert changed[0] in text
    (folder / "small_space.py").write_text(text.replace(*changed))
    found = importlib.util.spec_from_file_location("small_space", folder / "small_space.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module  # type: ignore[return-value]


@pytest.fixture
def study_of(tmp_path: Path) -> Callable[..., LoadedStudy]:
    """Make the study ``s`` on prepared images, with what was noted of it."""

    def make(dataset: Dataset, **about: object) -> LoadedStudy:
        of_data = ("fingerprint", "classes", "height", "width", "channels")
        config = StudyConfig(
            "s", dataset.source, space="small_space", **{name: getattr(dataset, name) for name in of_data}
        )
        made = create_study(config, dataset.folder, None, tmp_path / "studies", about=about)
        assert made is not None
        return made

    return make


@pytest.fixture
def photographs(tmp_path: Path) -> Dataset:
    return prepare(paint_classes(tmp_path / "photos"), cache=tmp_path / "cache", say=lambda line: None)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of a host that has never seen the images."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no cache"))
    return tmp_path / "cache elsewhere"


def forget(dataset: Dataset) -> None:
    """Take away the images, and what was prepared of them, as on another host."""
    shutil.rmtree(dataset.folder.parent)
    shutil.rmtree(dataset.source)


def test_same_images_are_found_in_another_folder(study_of, photographs, elsewhere, tmp_path: Path) -> None:
    study = study_of(photographs)
    forget(photographs)
    moved = paint_classes(tmp_path / "moved")
    found = find_images(study, moved, elsewhere, say=lambda line: None)
    assert found.fingerprint == study.config.fingerprint
    assert found.folder.parent == elsewhere


def test_same_images_are_found_in_another_form(study_of, elsewhere, tmp_path: Path) -> None:
    images, labels = np.arange(24 * 64, dtype=np.uint8).reshape(24, 8, 8, 1), np.arange(24) % 2
    arrays = (images, labels, images[:8], labels[:8])
    study = study_of(prepare(arrays, cache=tmp_path / "cache", say=lambda line: None))
    shutil.rmtree(tmp_path / "cache")
    file = tmp_path / "data.npz"
    np.savez(file, **dict(zip(("x_train", "y_train", "x_test", "y_test"), arrays, strict=True)))
    assert find_images(study, str(file), elsewhere, print).fingerprint == study.config.fingerprint


def test_other_images_are_refused_in_one_line(study_of, photographs, elsewhere, tmp_path: Path) -> None:
    study = study_of(photographs)
    other = paint_classes(tmp_path / "other", first=100)
    with pytest.raises(InputError) as refused:
        find_images(study, other, elsewhere, say=lambda line: None)
    message = str(refused.value)
    assert message.startswith(f"--data {other}: study s was made for other images ({photographs.source}); ")
    assert "\n" not in message


def test_images_that_changed_in_their_own_folder_are_refused(study_of, photographs, elsewhere) -> None:
    study = study_of(photographs)
    shutil.rmtree(photographs.folder.parent)
    paint_classes(Path(photographs.source), first=100)
    with pytest.raises(InputError, match="study s was made for other images"):
        find_images(study, None, elsewhere, say=lambda line: None)


@pytest.mark.parametrize("given", [True, False], ids=["the cache given", "the user's cache"])
def test_images_in_the_cache_are_found_without_being_said(
    study_of, photographs, elsewhere, given: bool, tmp_path: Path
) -> None:
    cache = elsewhere if given else tmp_path / "no cache" / "keras-image-search"
    shutil.copytree(photographs.folder, cache / photographs.fingerprint)
    study = study_of(photographs)
    forget(photographs)
    assert find_images(study, None, elsewhere).folder == cache / photographs.fingerprint


def test_images_are_prepared_anew_from_where_the_study_had_them(study_of, photographs, elsewhere) -> None:
    study = study_of(photographs)
    shutil.rmtree(photographs.folder.parent)
    found = find_images(study, None, elsewhere, say=lambda line: None)
    assert found.folder == elsewhere / study.config.fingerprint


def test_images_whose_place_is_gone_are_asked_for(study_of, photographs, elsewhere) -> None:
    study = study_of(photographs)
    forget(photographs)
    with pytest.raises(InputError) as refused:
        find_images(study, None, elsewhere)
    assert str(refused.value).startswith(
        f"study s's images were in {photographs.source}, which is gone: say with --data where they are now, as in "
        "python -m search.run --study s --no-export --data PLACE"
    )


def test_arrays_of_a_notebook_cannot_be_found_elsewhere(study_of, elsewhere, tmp_path: Path) -> None:
    images, labels = np.zeros((24, 8, 8, 1), np.uint8), np.arange(24) % 2
    arrays = (images, labels, images[:8], labels[:8])
    study = study_of(prepare(arrays, cache=tmp_path / "cache", say=lambda line: None))
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(InputError, match="the prepared images of study 's' are not in"):
        find_images(study, None, elsewhere)


@pytest.mark.parametrize(
    "changed",
    [
        ('"width", 4, 32', '"width", 4, 64'),
        ("1e-7, 1.0, log=True", "1e-7, 1.0, log=False"),
        ('"dropout", 0.0, 0.5)', '"dropout", 0.0, 0.5, step=0.1)'),
        ("batch_size=64", "batch_size=32"),
        ("bias=False).batch_norm()", "bias=True).batch_norm()"),
    ],
    ids=["range", "scale", "step", "recipe", "cost"],
)
def test_other_version_of_the_space_is_refused(
    study_of, photographs, tmp_path: Path, changed: tuple[str, str]
) -> None:
    study = study_of(photographs)
    study.optuna.set_user_attr(SPACE, space_digest(space_of(tmp_path / "here"), study.config))
    with pytest.raises(InputError) as refused:
        check_joining(study, space_of(tmp_path / "there", changed), "tensorflow")
    message = str(refused.value)
    assert message.startswith("space small_space: study s was made with another version of it")
    assert "\n" not in message


def test_same_version_of_the_space_elsewhere_is_joined_in_silence(
    study_of, photographs, tmp_path: Path
) -> None:
    study = study_of(photographs, **surroundings("tensorflow"))
    study.optuna.set_user_attr(SPACE, space_digest(space_of(tmp_path / "here"), study.config))
    said: list[str] = []
    check_joining(study, space_of(tmp_path / "there"), "tensorflow", said.append)
    assert said == []


def test_study_that_noted_nothing_is_joined(study_of, photographs) -> None:
    said: list[str] = []
    check_joining(study_of(photographs), spaces.load("small_space"), "tensorflow", said.append)
    assert said == []


def test_other_backend_is_warned_of(study_of, photographs) -> None:
    said: list[str] = []
    check_joining(study_of(photographs, **{BACKEND: "jax"}), spaces.load("cnn"), "tensorflow", said.append)
    assert said == ["warning: study s was begun on jax, this worker runs tensorflow"]


def test_other_versions_are_warned_of(study_of, photographs) -> None:
    here = surroundings("tensorflow")[VERSIONS]
    study = study_of(
        photographs, **{BACKEND: "tensorflow", VERSIONS: {**here, "keras": "0.1", "numpy": "0.2"}}
    )
    said: list[str] = []
    check_joining(study, spaces.load("small_space"), "tensorflow", said.append)
    assert said == [
        "warning: other versions than the study was begun with: "
        f"keras {here['keras']} (there 0.1), numpy {here['numpy']} (there 0.2)"
    ]


def test_surroundings_name_the_backend_and_the_libraries_that_matter() -> None:
    found = surroundings("tensorflow")
    assert found[BACKEND] == "tensorflow"
    assert {"python", "keras", "numpy", "optuna"} <= found[VERSIONS].keys()


def test_digest_ignores_what_is_the_workers_own(study_of, photographs, tmp_path: Path) -> None:
    study = study_of(photographs)
    other = dataclasses.replace(study.config, study="t", data="elsewhere", epochs=99, seed=5)
    space = space_of(tmp_path / "here")
    assert space_digest(space, study.config) == space_digest(space, other)


def test_digest_of_a_space_that_fails_now_and_then_is_one_all_the_same(
    study_of, photographs, tmp_path: Path
) -> None:
    config = study_of(photographs).config
    fails = (
        'if params["fault"] == "large":',
        'if 1 / (params["width"] > 18) > 1 or params["fault"] == "large":',
    )
    assert space_digest(space_of(tmp_path / "here", fails), config) != space_digest(
        space_of(tmp_path / "there"), config
    )


def test_space_that_fails_at_every_sample_is_refused_with_the_line_of_its_code(
    study_of, photographs, tmp_path: Path
) -> None:
    broken = space_of(tmp_path / "here", ("flatten()", "flat()"))
    with pytest.raises(InputError) as refused:
        space_digest(broken, study_of(photographs).config)
    assert re.fullmatch(
        r"space small_space: AttributeError: 'CostCounter' object has no attribute 'flat' "
        r"\(small_space.py, line \d+, in cost\); mend the space, then run the same command again",
        str(refused.value),
    )


BUILD = ("momentum=0.8", "momentum=0.9")


def made_with(study: LoadedStudy, space: Space) -> LoadedStudy:
    for name, value in space_facts(space, study.config).items():
        study.optuna.set_user_attr(name, value)
    return study


def test_other_build_is_refused_though_ranges_costs_and_recipes_are_the_same(
    study_of, photographs, tmp_path: Path
) -> None:
    study = made_with(study_of(photographs), space_of(tmp_path / "here"))
    check_joining(study, space_of(tmp_path / "mended", ("A space of one", "One space of a")), "tensorflow")
    with pytest.raises(InputError) as refused:
        check_joining(study, space_of(tmp_path / "there", BUILD), "tensorflow")
    assert str(refused.value) == (
        "space small_space: study s was made with another version of it (its code differs, in build perhaps); bring "
        "the same files here, or choose another --study name"
    )


def test_study_of_a_registered_space_goes_by_its_version(study_of, photographs, monkeypatch) -> None:
    space = spaces.load("cnn")
    study = made_with(study_of(photographs), space)
    study = dataclasses.replace(study, config=dataclasses.replace(study.config, space="cnn"))
    check_code(study, space)
    made, here = space.VERSION, space.VERSION + 1
    monkeypatch.setattr(space, "VERSION", here)
    words = rf"another version of it \(version {made} there, version {here} here\)"
    with pytest.raises(InputError, match=words):
        check_code(study, space)


@pytest.mark.parametrize("state", ["FAIL", "COMPLETE", "RUNNING"])
def test_space_can_be_mended_while_no_net_of_it_has_been_trained(
    study_of, photographs, tmp_path: Path, state: str
) -> None:
    study, mended = (
        made_with(study_of(photographs), space_of(tmp_path / "here")),
        space_of(tmp_path / "there", BUILD),
    )
    study.optuna.add_trial(
        create_trial(
            state=TrialState[state],
            value=0.5 if state == "COMPLETE" else None,
            system_attrs={FIXED: {"width": 16}, HEARTBEAT: {}},
            user_attrs={RAISED: True},
        )
    )
    renew_space(study, mended)
    if state != "FAIL":
        with pytest.raises(InputError, match="another version"):
            check_joining(study, mended, "tensorflow")
        return
    check_joining(study, mended, "tensorflow")
    renew_space(study, mended)  # Once more: what waits is not queued again.
    waiting = study.optuna.get_trials(states=(TrialState.WAITING,))
    assert [trial.system_attrs[FIXED] for trial in waiting] == [{"width": 16}]


def test_space_of_other_ranges_is_not_taken_for_a_mended_one(study_of, photographs, tmp_path: Path) -> None:
    study = made_with(study_of(photographs), space_of(tmp_path / "here"))
    other = space_of(tmp_path / "there", ('"width", 4, 32', '"width", 4, 64'))
    renew_space(study, other)
    with pytest.raises(InputError, match="its ranges, costs or recipe differ"):
        check_joining(study, other, "tensorflow")


@pytest.mark.slow
def test_digest_is_the_same_in_every_process_and_prints_nothing() -> None:
    printed = set()
    for seed in ("1", "2"):
        path = os.pathsep.join(filter(None, [*sys.path, str(IN_CHILD)]))
        ended = subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ended.stderr == ""
        printed.add(ended.stdout)
    (digests,) = printed
    assert len(set(digests.split())) == 3
