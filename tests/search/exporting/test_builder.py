"""What is decided on the way to an export, as the builder stores and says it."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.config.settings import ExportOptions
from search.exporting import builder
from search.exporting.entrants import Bounds
from search.study.compute import AFTER_SEARCH

PLANNED = 100e12


class Planned:
    """A study whose final training takes 100 TFLOP, of which an earlier run may have planned and begun another."""

    def __init__(
        self, folder: Path, final: float = PLANNED, *, begun: bool = False, taken: float = 0.0
    ) -> None:
        recorded = {"final training, trial 3, 3-8, 2026-11-30T17:38:43+00:00": taken}
        self.optuna = SimpleNamespace(user_attrs={AFTER_SEARCH: recorded})
        self.config = SimpleNamespace(final=PLANNED, epochs=8, early_stopping=0)
        self.final, self.said = final, list[str]()
        self.paths = SimpleNamespace(refit_checkpoint=lambda number, epochs: folder / f"{number}-{epochs}")
        if begun:
            (folder / "3-8").touch()

    def plan_final(self, flops: float) -> None:
        self.final = flops

    def plan(self, bounds: Bounds) -> float:
        trial = SimpleNamespace(number=3, user_attrs={})
        request: Any = SimpleNamespace(
            loaded=self, trial=trial, options=ExportOptions.given("s"), race=None, say=self.said.append
        )
        builder._plan_final(request, bounds)
        return self.final


@pytest.fixture(autouse=True)
def _spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "compute_spent", lambda loaded: 300e12)


@pytest.mark.parametrize(
    ("bounds", "given"),
    [
        (Bounds(), PLANNED),
        (Bounds(final=150e12), 150e12),
        (Bounds(whole=450e12, grows=True), 150e12),
        (Bounds(whole=900e12, grows=True), 200e12),
        (Bounds(whole=900e12, grows=True, time_left=lambda: 120e12), 120e12),
        (Bounds(final=350e12, grows=True, time_left=lambda: 320e12), 320e12),
        (Bounds(final=60e12, grows=True, time_left=lambda: 500e12), 60e12),  # It was cut short for time.
    ],
)
def test_final_training_takes_what_is_planned_or_left(tmp_path: Path, bounds: Bounds, given: float) -> None:
    study = Planned(tmp_path)
    assert study.plan(bounds) == pytest.approx(given)
    assert len(study.said) == (given != PLANNED)


def test_final_training_that_was_begun_goes_on_as_it_was_planned(tmp_path: Path) -> None:
    """Under --timeout another clock planned another length, and what was trained before was lost."""
    study = Planned(tmp_path, 170e12, begun=True)
    assert study.plan(Bounds(final=PLANNED, grows=True, time_left=lambda: 180e12)) == 170e12
    assert study.plan(Bounds(final=PLANNED, grows=True, time_left=lambda: 140e12)) == 140e12
    assert Planned(tmp_path / "other", 170e12).plan(Bounds(final=PLANNED)) == PLANNED


def test_what_a_final_training_has_taken_is_not_wanted_again_where_it_goes_on(tmp_path: Path) -> None:
    study = Planned(tmp_path, 170e12, begun=True, taken=50e12)
    assert study.plan(Bounds(whole=430e12, grows=True)) == 170e12


def test_final_training_of_another_length_begins_anew(tmp_path: Path) -> None:
    study = Planned(tmp_path, 170e12, begun=True)
    assert study.plan(Bounds(whole=440e12, grows=True)) == 140e12
    assert not (tmp_path / "3-8").exists()


def test_formats_are_said_to_be_compared_on_the_images_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    loaded = SimpleNamespace(
        paths=SimpleNamespace(worker_log=lambda name: tmp_path / name),
        dataset=lambda: SimpleNamespace(folder=tmp_path),
    )
    request: Any = SimpleNamespace(
        formats=("onnx",), loaded=loaded, say=lambda words: said.append(str(words))
    )
    server: Any = SimpleNamespace(backend="tensorflow")
    monkeypatch.setattr(builder, "write_formats", lambda *_: 60)
    builder.write_other_formats(request, tmp_path / "model.keras", tmp_path, server)
    assert said[-1] == "written and compared with Keras on 60 images: model.onnx"


def test_export_that_is_stopped_says_that_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(builder, "_build", stopped)
    monkeypatch.setattr(builder, "ExportAtWork", lambda *_: nullcontext())
    said: list[str] = []
    loaded = SimpleNamespace(storage=None, study_id=0, still_there=None)
    request: Any = SimpleNamespace(loaded=loaded, say=said.append)
    with pytest.raises(KeyboardInterrupt):
        builder.build_export(tmp_path, request, None, confirm=False)  # type: ignore[arg-type]
    assert said == ["stopped, and nothing exported; what was trained is kept, and the same command goes on"]
