"""What an export does before it trains or scores anything, and where its training is killed from outside."""

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.config.settings import ExportOptions
from search.errors import StudyStopped, TrialInterrupted
from search.study.study import LoadedStudy
from search.workflows import export
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


@pytest.mark.parametrize(
    ("of_run", "expected"),
    [
        ("", "search.export --study s --trial 3 --without 1,2 --refit"),
        ("search.run --study s --refit", "search.run --study s --refit"),
    ],
)
def test_export_whose_training_is_killed_names_the_command_that_goes_on(
    of_run: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise StudyStopped("killed by SIGKILL; its log is x") from TrialInterrupted("killed by SIGKILL")

    loaded = SimpleNamespace(
        config=SimpleNamespace(folds=0),
        check_rights=lambda: None,
        command=lambda name, *words: shlex.join([f"search.{name}", "--study", "s", *words]),
    )
    monkeypatch.setattr(export, "load_study", lambda *_: loaded)
    monkeypatch.setattr(export, "_requested", lambda *_: (SimpleNamespace(trial=None), False))
    monkeypatch.setattr(export, "build_export", killed)
    asked = ExportOptions.given(
        "s", trial=3, without=[1, 2], refit=True, server=object(), say=print, root=tmp_path
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyStopped, match="its log is x; go on with: ") as stopped:
        make_export(asked, command=of_run)
    words = shlex.split(str(stopped.value).partition("go on with: ")[2])
    assert sorted(words) == sorted(shlex.split(expected))
