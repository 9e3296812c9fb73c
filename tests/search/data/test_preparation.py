from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.data import cache_root
from search.data.preparation import prepare
from search.errors import InputError


@pytest.mark.parametrize("name", ["cifarr", "", "/no/such/folder", "missing.npz"])
def test_unknown_data_lists_what_is_known(name: str, cache: Path) -> None:
    with pytest.raises(
        InputError, match=r"no such data set, file or folder; expected one of cifar10, .*digits"
    ) as caught:
        prepare(name, cache=cache)
    assert "\n" not in str(caught.value)
    assert not cache.exists()


def test_folder_that_is_called_as_a_known_data_set_is_told_of(
    tmp_path: Path, cache: Path, monkeypatch
) -> None:
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    assert len(prepare("digits", cache=cache, say=said.append).classes) == 10
    assert (
        "warning: digits is the known data set of this name; to take the folder here, pass --data ./digits"
        in said
    )


def test_file_of_another_kind(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "images.rar").write_bytes(b"x")
    with pytest.raises(InputError, match=r"images\.rar: a file of another kind; expected .* a zip or tar"):
        prepare(tmp_path / "images.rar", cache=cache)


@pytest.mark.parametrize(
    "data", ["digits", "cifar10", (np.zeros((2, 4, 4)), [0, 1], np.zeros((1, 4, 4)), [0])]
)
def test_groups_of_images_that_are_no_files_are_refused(data: Any, cache: Path) -> None:
    with pytest.raises(
        InputError, match=r"^--groups 'p': data .* has no image files, .* or leave --groups out"
    ):
        prepare(data, groups="p", cache=cache)


@pytest.mark.parametrize("size", [-1, 0, 3, 10**6])
def test_image_size_absurd(size: int, cache: Path) -> None:
    with pytest.raises(InputError, match=f"--image-size {size}: expected"):
        prepare("digits", image_size=size, cache=cache)


@pytest.mark.parametrize("test", [-0.2, 0.0, 1.0, float("nan")])
def test_test_fraction_absurd(test: float, cache: Path) -> None:
    with pytest.raises(InputError, match="--test"):
        prepare("digits", test=test, cache=cache)


def test_data_by_path_or_text_is_the_same(make_folder: Callable[..., Path], cache: Path) -> None:
    folder = make_folder({"a": 5, "b": 5})
    assert prepare(folder, cache=cache) == prepare(str(folder), cache=cache)


def test_cache_root_follows_the_users_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "keras-image-search"


def test_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        InputError, match=r"cache folder .* cannot be written .* or name by --cache a folder that is$"
    ):
        prepare("digits", cache=tmp_path / "file")


def test_default_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot be written .* or set XDG_CACHE_HOME to a folder that is$"):
        prepare("digits")


@pytest.mark.parametrize("size", ["6x10", (6, 10)])
def test_images_become_as_high_and_wide_as_asked_for(size: object, cache: Path) -> None:
    dataset = prepare("digits", image_size=size, cache=cache)  # type: ignore[arg-type]
    assert dataset.train()[0].shape[1:] == (6, 10, 1)
    assert (dataset.preprocessing["height"], dataset.preprocessing["width"]) == (6, 10)
