from pathlib import Path

import pytest

from search.config.settings import RunOptions
from search.config.study_settings import stored_space


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
