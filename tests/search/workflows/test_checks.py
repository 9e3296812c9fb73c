"""What is checked of a search before anything is started."""

from collections.abc import Callable
from pathlib import Path

import pytest

from search.config.settings import RunOptions
from search.errors import InputError
from search.exporting.folder import SWEEP_FILES
from search.study.study import LoadedStudy
from search.study.sweep_cells import SWEEP
from search.workflows.checks import check_here


def test_search_of_a_sweep_is_sent_to_its_own_command_not_to_another_folder(
    open_digits: Callable[..., LoadedStudy], tmp_path: Path
) -> None:
    study = open_digits()
    study.optuna.set_user_attr(SWEEP, {})
    out = tmp_path / "report"
    out.mkdir()
    for name in SWEEP_FILES:
        (out / name).write_text("{}")
    options = RunOptions.given(study.config.study, root=study.paths.root, storage=study.url, out=out)
    with pytest.raises(InputError, match=r"is a sweep; go on with python -m search\.sweep --study"):
        check_here(options)


def test_place_of_an_export_is_refused_where_the_database_is_away(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("")
    storage = "postgresql://me@127.0.0.1:1/none"
    options = RunOptions.given("s", data="digits", root=tmp_path, storage=storage, out=out)
    with pytest.raises(InputError, match=r"^--out .*: is a file"):
        check_here(options)
