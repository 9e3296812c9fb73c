import os
from collections.abc import Callable
from pathlib import Path

import pytest

from search.data.folder_content import look_into
from search.errors import InputError
from search.prediction.pictures import find_images

Make = Callable[..., Path]


def found_in(folder: Path) -> list[str]:
    return [os.path.relpath(file.path, folder) for file in look_into(folder).files]


def test_folder_is_listed_at_any_depth_and_through_links(tmp_path: Path, paint: Make) -> None:
    for name in ("data/b.png", "data/deep/er/a.png", "elsewhere/c.png"):
        paint(tmp_path / name)
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "link.png").symlink_to(tmp_path / "elsewhere" / "c.png")
    assert found_in(tmp_path / "data") == ["b.png", "deep/er/a.png", "link.png", "linked/c.png"]


def test_links_in_a_circle_are_followed_once(tmp_path: Path, paint: Make) -> None:
    for name in ("a", "b"):
        paint(tmp_path / name / "1.png")
    (tmp_path / "a" / "other").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "other").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "itself").symlink_to("itself")
    content = look_into(tmp_path / "a")
    assert found_in(tmp_path / "a") == ["1.png", "itself", "other/1.png"]
    assert content.loops == [str(tmp_path / "a" / "other" / "other")]


def test_hidden_folders_are_not_looked_into(tmp_path: Path, paint: Make) -> None:
    for name in (".ipynb_checkpoints/a.png", "deep/__MACOSX/b.png", "c.png"):
        paint(tmp_path / name)
    content = look_into(tmp_path)
    assert found_in(tmp_path) == ["c.png"]
    assert len(content.hidden) == 2


def test_pipes_are_not_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "waits.jpg")
    assert found_in(tmp_path) == []


def test_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    scandir = os.scandir

    def refuse(folder: str) -> object:
        if folder.endswith("deep"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr("os.scandir", refuse)  # Root may read whatever its mode.
    assert list(look_into(tmp_path).unreadable) == [str(tmp_path / "deep")]
    with pytest.raises(InputError, match=r"deep: this folder cannot be read \(Permission denied\)"):
        find_images([tmp_path])
