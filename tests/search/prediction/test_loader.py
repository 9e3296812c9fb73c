"""An export's folder, as predict and the demo find it."""

from pathlib import Path

import pytest

from search.errors import InputError
from search.prediction.loader import read_export


@pytest.mark.parametrize("there", [True, False])
def test_study_named_in_the_place_of_its_export_is_answered_with_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """A folder of photographs is often called as the study is."""
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "exports" / "clothes"
    made.mkdir(parents=True)
    (made / "model.keras").touch()
    if there:
        (tmp_path / "clothes").mkdir()
    with pytest.raises(InputError, match=r"; exports/clothes is one$"):
        read_export(Path("clothes"))


def test_export_that_is_not_whole_is_not_advised_in_its_own_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "exports" / "clothes"
    made.mkdir(parents=True)
    (made / "model.keras").touch()
    for folder in (Path("exports/clothes"), made):
        with pytest.raises(InputError, match=r"has no labels.json; make one with search.export$"):
            read_export(folder)
