"""What an export does before it trains or scores anything."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from search.config.settings import ExportOptions
from search.study.study import LoadedStudy
from search.workflows.export import make_export


class Chosen(Exception):
    """The trial is being chosen."""


def test_images_that_are_not_in_the_cache_are_prepared_before_the_choice_reads_them(
    open_digits: Callable[..., LoadedStudy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose(loaded: LoadedStudy, *_: object) -> None:
        raise Chosen(loaded.dataset().fingerprint)

    study = open_digits(cache=tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setattr("search.workflows.export.choose_trial", lambda *_: None)
    monkeypatch.setattr("search.workflows.export.choose_preferred", choose)
    options = ExportOptions.given("s", storage=study.url, root=study.paths.root, out=tmp_path / "out")
    with pytest.raises(Chosen, match=study.config.fingerprint):
        make_export(options)
