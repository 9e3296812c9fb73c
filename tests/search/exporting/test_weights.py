"""Which files of weights an export starts from."""

import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.errors import InputError
from search.exporting.weights import kept_weights


def test_damaged_weights_are_none_and_a_refit_is_advised(tmp_path: Path) -> None:
    file = tmp_path / "3.keras"
    trial: Any = SimpleNamespace(number=3, user_attrs={"token": "t"})
    loaded: Any = SimpleNamespace(
        paths=SimpleNamespace(model=lambda number, token: file),
        artifacts=None,
        config=SimpleNamespace(study="s"),
    )
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", "{}")
    assert kept_weights(loaded, trial) == file
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(
        InputError, match=r"^trial 3 of study s: its weights are not kept here, or damaged .*--refit"
    ):
        kept_weights(loaded, trial)
