"""The command: what it refuses, where it writes, and that it stays small."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.cli.app import main
from search.config.settings import RunOptions
from search.data import Dataset
from search.report import app
from search.reporting.export_reader import find_export
from search.reporting.report import report_study
from search.study.opening import open_study
from search.study.study import LoadedStudy

Report = Callable[..., tuple[int, str, str]]


@pytest.fixture
def study(digits: Dataset, tmp_path: Path) -> LoadedStudy:
    """A study of digits, named ``small``, in which nothing has been tried."""
    return open_study(
        RunOptions.given(
            "small", data="digits", space="cnn", root=tmp_path / "studies", cache=digits.folder.parent
        )
    )


@pytest.fixture
def report(
    study: LoadedStudy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Report:
    """Run the command beside the studies: its exit code, and what it printed and complained of."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, name: str = "small") -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(app, ["--study", name, *map(str, arguments)])
        printed = capsys.readouterr()
        return int(str(end.value.code)), printed.out, printed.err

    return run


def test_report_goes_beside_the_export_and_says_where(report: Report) -> None:
    code, printed, _ = report()
    assert (code, printed.split(" (")[0]) == (0, "report written to exports/small.html")
    assert Path("exports/small.html").read_text().startswith("<!DOCTYPE html>")
    assert [path.name for path in Path("exports").iterdir()] == ["small.html"]


def test_report_takes_the_place_of_an_earlier_one(report: Report) -> None:
    assert [report("--out", "report.html")[0] for _ in range(2)] == [0, 0]


def test_file_that_is_no_report_is_not_written_over(report: Report) -> None:
    Path("mine.html").write_text("<p>my own page</p>")
    code, _, error = report("--out", "mine.html")
    assert (code, error) == (
        2,
        "error: --out mine.html: is no report, and would be lost; name another file\n",
    )
    assert Path("mine.html").read_text() == "<p>my own page</p>"


@pytest.mark.parametrize(
    ("out", "why"),
    [
        (".", "is a folder; expected a file"),
        ("report.txt", "ends in .html"),
        ("studies/search.db/report.html", "Not a directory"),
        ("/proc/report.html", "cannot be written ("),
    ],
)
def test_place_where_no_report_can_be_is_refused_in_one_line(report: Report, out: str, why: str) -> None:
    code, printed, error = report("--out", out)
    assert (code, printed, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"error: --out {out}: ")
    assert why in error


def test_unknown_study_is_refused_in_one_line_and_nothing_is_made(report: Report) -> None:
    code, printed, error = report(name="other")
    assert (code, printed, error.count("\n")) == (2, "", 1)
    assert error.startswith("error: --study other: no such study")
    assert not Path("exports").exists()


def test_folder_that_is_no_export_is_refused(report: Report) -> None:
    code, _, error = report("--export", "studies")
    assert (code, error.count("\n")) == (2, 1)
    assert "--export studies: is no export, it has no summary.json" in error


def test_export_of_another_study_is_refused_where_it_was_named(report: Report) -> None:
    write_summary(Path("other"), study="other")
    code, _, error = report("--export", "other")
    assert (code, error.count("\n")) == (2, 1)
    assert "is of study other, not of study small as it is here" in error


def test_export_on_other_images_is_left_out_where_it_only_lies_there(report: Report) -> None:
    write_summary(Path("exports/small"), study="small")
    assert report()[0] == 0
    assert "data:image" in Path("exports/small.html").read_text()


def test_export_of_an_earlier_study_of_this_name_is_refused(report: Report, study: LoadedStudy) -> None:
    write_summary(Path("earlier"), study="small", fingerprint=study.config.fingerprint)
    code, _, error = report("--export", "earlier")
    assert (code, error.count("\n")) == (2, 1)
    assert "is of another study of this name, with another trial 0" in error


@pytest.mark.parametrize(("uid", "found"), [("its own", True), ("another", False)])
def test_export_of_an_earlier_study_with_the_same_default_is_left_out(
    study: LoadedStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: str, found: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    write_summary(Path("exports/small"), "small", study.config.fingerprint, params={"a": 1}, study_uid=uid)
    trial: Any = SimpleNamespace(number=0, state="finished", recorded={"params": {"a": 1}})
    export, why_none = find_export(None, study.config, [trial], "its own")
    assert (export is not None) == found
    assert why_none == ("" if found else "the export in exports/small is of another study of this name")


def write_summary(folder: Path, study: str, fingerprint: str = "others", **more: Any) -> None:
    folder.mkdir(parents=True)
    said = {"study": study, "trial": 0, "test_accuracy": 0.5, "test_loss": 1.0, "macro_f1": 0.5}
    images = {"test_images": 10, "validation_images": 10, "data_fingerprint": fingerprint}
    (folder / "summary.json").write_text(json.dumps({**said, **images, **more}))


def test_database_that_is_away_is_told_in_one_line(report: Report) -> None:
    url = "postgresql://me:sesame@/studies?host=/no/such/place"
    code, printed, error = report("--storage", url)
    assert (code, printed, error.count("\n")) == (2, "", 1)
    assert "sesame" not in error


def test_report_loads_no_framework(study: LoadedStudy, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom search.reporting.report import report_study\n"
        f"report_study('small', root=Path({str(study.paths.root)!r}), out=Path('report.html'))\n"
        "print(*sorted({'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(sys.path), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stdout) == (0, "\n"), ended.stderr
    assert (tmp_path / "report.html").is_file()


def test_function_gives_the_file(study: LoadedStudy, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "report.html"
    assert report_study("small", root=study.paths.root, out=out) == out
    assert report_study("small", studies=str(study.paths.root), out=str(out)) == out  # type: ignore[call-arg,arg-type]
