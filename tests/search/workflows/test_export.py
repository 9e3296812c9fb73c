"""An export whose training is killed from outside."""

import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.config.settings import ExportOptions
from search.errors import StudyStopped, TrialInterrupted
from search.workflows import export


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
        export.make_export(asked, command=of_run)
    words = shlex.split(str(stopped.value).partition("go on with: ")[2])
    assert sorted(words) == sorted(shlex.split(expected))
