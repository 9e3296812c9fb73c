from collections.abc import Callable
from pathlib import Path

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


def test_file_that_is_no_npz(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "images.tar.gz").write_bytes(b"x")
    with pytest.raises(InputError, match=r"images\.tar\.gz: a file, but not an \.npz.*unpacked"):
        prepare(tmp_path / "images.tar.gz", cache=cache)


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
    with pytest.raises(InputError, match=r"cache folder .* cannot be written"):
        prepare("digits", cache=tmp_path / "file" / "cache")
