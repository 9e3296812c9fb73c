"""An export as it lies on disk: what can be done with it."""

from pathlib import Path

import numpy as np
import pytest

from search.exporting.export import Export


def test_how_to_try_names_the_folder_as_it_is_typed_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    made = Export(tmp_path / "exports" / "my hats", {}, "", np.zeros((2, 2), np.int64), ["a", "b"])
    assert made.how_to_try == (
        "try it: python -m search.predict --model 'exports/my hats' PICTURES, or in a browser: "
        "python -m search.demo --model 'exports/my hats'"
    )
    monkeypatch.chdir(tmp_path / "..")
    assert f"--model '{tmp_path.name}/exports/my hats' " in made.how_to_try
