from types import SimpleNamespace
from typing import Any

import pytest

from search.errors import StudyStopped
from search.study.study import LoadedStudy
from search.workflows import searching


@pytest.mark.parametrize("there", [True, False])
def test_study_deleted_while_it_is_opened_is_said_to_be(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    def fail(*given: Any) -> None:
        raise KeyError("Record does not exist.")

    monkeypatch.setattr(searching, "feed_study", fail)
    monkeypatch.setattr(LoadedStudy, "still_there", lambda study: there)
    config: Any = SimpleNamespace(study="two")
    study = LoadedStudy(None, config, None, "sqlite://")  # type: ignore[arg-type]
    with pytest.raises(
        KeyError if there else StudyStopped, match="Record" if there else "somebody has deleted it"
    ):
        searching.feed(study, None)  # type: ignore[arg-type]
