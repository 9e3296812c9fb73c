"""Errors of ``storage`` and ``spaces``, which name a parameter, reach a command's user with the name of a flag."""

from pathlib import Path

import pytest

from search.config.host_settings import PlaceSettings
from search.config.settings import RunOptions
from search.errors import InputError, join_words
from search.study.finding import find_study
from search.study.listing import studies_at
from search.study.request import check_request, load_space

NO_URL = "^--storage: not a database URL; expected one such as "


def test_unknown_space_is_refused_by_its_flag() -> None:
    with pytest.raises(InputError, match=r"^--space cnn_wild: unknown; expected one of cnn, "):
        load_space("cnn_wild")


def test_storage_that_is_no_url_is_refused_by_its_flag(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=NO_URL):
        find_study("s", "not a url", tmp_path)
    with pytest.raises(InputError, match=NO_URL):
        studies_at(PlaceSettings(storage="not a url", root=tmp_path))


def test_storage_of_the_environment_that_is_no_url_is_refused_by_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCH_STORAGE", "mysql://me:secret@host/all")
    for ask in (lambda: find_study("s", None, tmp_path), lambda: studies_at(PlaceSettings(root=tmp_path))):
        with pytest.raises(
            InputError, match=r"^SEARCH_STORAGE mysql://me:\*\*\*@host/all: only SQLite"
        ) as refused:
            ask()
        assert "secret" not in str(refused.value)
    monkeypatch.setenv("SEARCH_STORAGE", "garbage")
    with pytest.raises(InputError, match=r"^SEARCH_STORAGE: not a database URL"):
        find_study("s", None, tmp_path)
    with pytest.raises(InputError, match=NO_URL):  # The flag wins.
        find_study("s", "not a url", tmp_path)


def test_artifacts_in_no_folder_are_refused_by_their_flag(tmp_path: Path) -> None:
    options = RunOptions(study="s", artifacts=f"{tmp_path}/none")
    with pytest.raises(InputError, match=f"^--artifacts {tmp_path}/none: no such folder; expected "):
        check_request(options)


def test_reason_that_keras_gives_below_a_line_of_its_own_is_told() -> None:
    said = (
        "Exception encountered when calling Reshape.call().\n\n\x1b[1mThe total size must be unchanged. Received: "
        "(2,)\x1b[0m\n\nArguments received by Reshape.call():\n  • inputs=tf.Tensor(shape=(3, 2))"
    )
    expected = "ValueError: Reshape.call(): The total size must be unchanged. Received: (2,)"
    assert join_words("ValueError", said, "") == expected
