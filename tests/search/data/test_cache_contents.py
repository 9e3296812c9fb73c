"""The list of what lies in a cache, and its removal."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from search.cache import app
from search.cli.app import main
from search.data.cache_contents import Cached, choose, clear, list_cache
from search.data.preparation import prepare
from search.errors import InputError

FEATURES = "f" * 32
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def filled(make_folder: Callable[..., Path], cache: Path) -> Path:
    """A cache with images of a folder, features, a preparation that was cut short, and what is somebody else's."""
    folder = make_folder({"train/a": 3, "train/b": 3, "test/a": 1, "test/b": 1}, name="pets")
    prepare(folder, cache=cache, say=lambda line: None)
    features = cache / "features" / FEATURES
    features.mkdir(parents=True)
    np.save(features / "plain.npy", np.zeros((6, 20), np.float16))
    (features / "plain.lock").touch()
    for place in ("features/mine", "archives/photos", "mine", f"partial/{'a' * 32}"):
        (cache / place).mkdir(parents=True, exist_ok=True)
        (cache / place / "file").write_text("x")
    (cache / "mine" / "meta.json").write_text("{}")
    return cache


def entry(cache: Path, kind: str) -> Cached:
    (found,) = [one for one in list_cache(cache) if one.kind == kind]
    return found


def test_list_says_what_each_is_of(filled: Path, tmp_path: Path) -> None:
    assert sorted(one.kind for one in list_cache(filled)) == ["features", "images", "rest"]
    images = entry(filled, "images")
    assert images.what == f"{tmp_path / 'pets'}: 6 training and 2 test images of 2 classes, 12x10 pixels"
    assert images.size >= 8 * 12 * 10 * 3
    assert entry(filled, "features").what == "a backbone's 20 features of up to 6 training images"


def test_list_has_features_whose_file_is_empty(filled: Path) -> None:
    (filled / "features" / FEATURES / "plain.npy").write_bytes(b"")
    assert entry(filled, "features").what == "a backbone's features"


def test_clear_removes_what_was_chosen_and_nothing_else(filled: Path, tmp_path: Path) -> None:
    images = entry(filled, "images")
    assert clear(filled, [images]) == images.size
    assert not (filled / images.name).exists()
    assert list((filled / "requests").iterdir()) == []
    clear(filled, list_cache(filled))
    assert list_cache(filled) == []
    assert all((filled / place / "file").exists() for place in ("features/mine", "archives/photos", "mine"))
    prepare(tmp_path / "pets", cache=filled, say=lambda line: None)
    assert entry(filled, "images").name == images.name


def test_clear_leaves_what_another_process_writes(filled: Path) -> None:
    with (
        FileLock(filled / "features" / FEATURES / "plain.lock"),
        pytest.raises(InputError, match="another process is writing it"),
    ):
        clear(filled, [entry(filled, "features")])
    assert entry(filled, "features").size


@pytest.mark.parametrize(
    ("name", "why"), [("fff", "nothing in the cache is called so"), ("none", "nothing"), ("aaaa", "2 names")]
)
def test_name_that_is_of_none_or_of_several_is_refused(filled: Path, name: str, why: str) -> None:
    shutil.copytree(filled / "partial" / ("a" * 32), filled / "partial" / ("a" * 31 + "b"))
    with pytest.raises(InputError, match=f"--clear {name}: .*{why}"):
        choose(list_cache(filled), [name])


def test_beginning_of_a_name_is_enough(filled: Path) -> None:
    assert [one.kind for one in choose(list_cache(filled), ["ffff"])] == ["features"]
    assert len(choose(list_cache(filled), ["all"])) == 3


@pytest.fixture
def command(filled: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(app, ["--cache", str(filled), *arguments])
        printed = capsys.readouterr()
        return int(str(end.value.code)), printed.out, printed.err

    return run


def test_command_lists_with_sizes(command: Run, filled: Path) -> None:
    code, printed, _ = command()
    assert code == 0
    assert "6 training and 2 test images" in printed
    assert printed.splitlines()[-1].endswith(f" MB in {filled}")
    assert {one["kind"] for one in json.loads(command("--json")[1])["entries"]} == {
        "images",
        "features",
        "rest",
    }


def test_command_clears_only_when_it_is_told_not_to_ask(command: Run, filled: Path) -> None:
    code, _, error = command("--clear", "all")
    assert (code, len(list_cache(filled))) == (2, 3)
    assert "pass --yes" in error
    code, printed, _ = command("--clear", "ffff", "--yes")
    assert (code, len(list_cache(filled))) == (0, 2)
    assert printed.splitlines()[-1].endswith("are free again")


def test_command_says_that_a_cache_is_empty(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(app, ["--cache", str(tmp_path / "none")])
    assert capsys.readouterr().out == f"nothing in {tmp_path / 'none'}\n"
