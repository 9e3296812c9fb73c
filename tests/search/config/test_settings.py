from pathlib import Path

import pytest

from search.config.settings import RunOptions, stored_space
from search.errors import InputError


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("here.py", "here"),
        ("./here.py", "here"),
        ("deep/there.py", "{folder}/deep/there.py"),
        ("my-space.py", "{folder}/my-space.py"),
        ("missing.py", "missing.py"),
        ("package.module", "package.module"),
        ("here.py:build", "here:build"),
        ("deep/there.py:build", "{folder}/deep/there.py:build"),
    ],
)
def test_space_of_a_file_is_stored_so_that_it_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, stored: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    for name in ("here.py", "deep/there.py", "my-space.py"):
        (tmp_path / name).touch()
    assert stored_space(given) == stored.format(folder=tmp_path)
    assert RunOptions.given("s", space=given).space == stored.format(folder=tmp_path)


def test_model_stands_in_the_place_of_a_space() -> None:
    options = RunOptions.given("s", model="my_model:build")
    assert options.space == "my_model:build"
    assert {"model", "space"} <= options.requested


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"model": "my_model:build", "space": "cnn"},
            "--space cnn is given as well; leave one of the two out",
        ),
        ({"model": "my_model.py"}, r"--model my_model\.py: expected the file and the function"),
    ],
)
def test_model_is_refused_beside_a_space_or_without_its_function(asked: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RunOptions.given("s", **asked)
