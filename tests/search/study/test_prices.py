from types import SimpleNamespace
from typing import Any

import pytest

from search.study.prices import in_one_view, in_views, operations_words


def config(**more: Any) -> Any:
    return SimpleNamespace(**{"flip": True, "backbones": (), "space": "cnn", **more})


def test_operations_of_trials_that_may_be_mirrored_are_of_one_view() -> None:
    assert operations_words(config()) == "operations an image, in one view"


@pytest.mark.parametrize("more", [{"flip": False}, {"backbones": ("b",)}, {"space": "model.py:build"}])
def test_operations_of_what_is_never_mirrored_say_nothing_of_views(more: dict[str, Any]) -> None:
    assert in_one_view(config(**more)) == ""


def test_operations_of_an_export_say_how_many_views_they_are_of() -> None:
    assert (in_views({"views": 2}), in_views({})) == (", in two views", "")
