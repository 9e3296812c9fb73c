"""What an export shows of itself in a notebook, and how it answers there."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.errors import InputError
from search.exporting.export import Export
from search.formatting import unbroken
from search.workflows.results import StudyResult

SUMMARY: dict[str, Any] = {
    "study": "<b>mine</b>", "trial": 3, "test_accuracy": 0.9, "test_images": 100, "macro_f1": 0.89,
    "test_accuracy_interval": [0.82, 0.95], "validation_accuracy": 0.91, "parameters": 20_000, "flops": 3_000_000,
    "milliseconds": 0.2, "params": {"rate": 0.123456, "head": "<i>"}, "words": ["It is <good>."], "refit": True,
}  # fmt: skip


def export(folder: Path) -> Export:
    return Export(folder, SUMMARY, "", None, ["a", "b"])  # type: ignore[arg-type]


def test_export_shows_its_figures_and_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "exports" / "mine"
    folder.mkdir(parents=True)
    (folder / "confusion_matrix.png").write_bytes(b"png")
    shown = export(folder)._repr_html_()
    assert unbroken("90.0 % of 100 test images are right") in shown
    for text in (
        "82.0 to 95.0 %",
        "20 k, 3 MFLOP an image, 0.2 ms in batches",
        "rate=0.1235",
        "exports/mine",
    ):
        assert unbroken(text) in shown
    assert 'src="data:image/png;base64,cG5n"' in shown
    assert shown.count("<img") == 1, "curves.png is not there"
    assert str(tmp_path) not in shown


@pytest.mark.parametrize(("epochs", "pictures"), [(1, 0), (2, 1)])
def test_training_of_one_epoch_shows_no_curves(tmp_path: Path, epochs: int, pictures: int) -> None:
    (tmp_path / "curves.png").write_bytes(b"png")
    shown = Export(tmp_path, {**SUMMARY, "epochs": epochs}, "", None, ["a", "b"])  # type: ignore[arg-type]
    assert shown._repr_html_().count("<img") == pictures


def test_operations_of_two_views_say_so(tmp_path: Path) -> None:
    shown = Export(tmp_path, {**SUMMARY, "views": 2}, "", None, ["a", "b"])._repr_html_()  # type: ignore[arg-type]
    assert unbroken("3 MFLOP an image, in two views, 0.2 ms") in shown


def test_parameters_of_a_backbone_are_counted(tmp_path: Path) -> None:
    summary = {**SUMMARY, "backbone": {"name": "mine", "parameters": 3_400_000}}
    shown = Export(tmp_path, summary, "", None, ["a", "b"])._repr_html_()  # type: ignore[arg-type]
    assert unbroken("3.42 M, 3 MFLOP an image") in shown


def test_names_from_outside_are_escaped(tmp_path: Path) -> None:
    shown = export(tmp_path)._repr_html_()
    assert "&lt;b&gt;mine&lt;/b&gt;, trial 3, retrained on all training images" in shown
    assert "head=&lt;i&gt;" in shown
    assert "It is &lt;good&gt;." in shown


def test_result_answers_with_its_export_or_says_why_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study: Any = SimpleNamespace(config=SimpleNamespace(study="s"))
    monkeypatch.setattr("search.exporting.export.predict_images", lambda folder, images: [(folder, images)])
    found: Any = StudyResult(study, "", False, export(tmp_path)).predict("photo.png")
    assert found == [(tmp_path, "photo.png")]
    with pytest.raises(InputError, match=r"study s has no export to predict with \(no trial is complete\)"):
        StudyResult(study, "", False, None, "no trial is complete").predict([])


def test_results_are_printed_in_a_line(tmp_path: Path) -> None:
    made = export(tmp_path)
    assert repr(made) == f"<export of trial 3: test accuracy 90.0 %; in {tmp_path}>"
    study: Any = SimpleNamespace(config=SimpleNamespace(study="s"), wanted=3, finished=lambda: [1, 2])
    assert repr(StudyResult(study, "", False, made)) == f"<study s: 2 of 3 trials; {made!r}>"
    assert repr(StudyResult(study, "it ran out", True, None)) == (
        "<study s: 2 of 3 trials; no export: it ran out>"
    )
