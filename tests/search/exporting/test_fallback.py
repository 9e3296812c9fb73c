"""Whether a search in folds exports its best configuration or the default."""

from types import SimpleNamespace
from typing import Any

import pytest

from search.exporting import fallback
from search.exporting.fallback import unless_default

DEFAULT = (0.90, 0.92, 0.91)


def trial(number: int, values: tuple[float, ...]) -> Any:
    return SimpleNamespace(number=number, user_attrs={"folds": [{"value": value} for value in values]})


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Choose between the default, trial 0, and a trial 5 of these values."""

    def choose(
        values: tuple[float, ...], default: tuple[float, ...] = DEFAULT, **config: Any
    ) -> tuple[int, str]:
        settings = {"folds": 3, "length": 0, "race_images": 0, "metric": "accuracy", "classes": ("a", "b")}
        loaded: Any = SimpleNamespace(config=SimpleNamespace(**{**settings, **config}))
        monkeypatch.setattr(fallback, "default_trial", lambda *_: trial(0, default))
        monkeypatch.setattr(fallback, "other_images", lambda _: (None, [50, 50]))
        chosen, why = unless_default(loaded, trial(5, values))
        return chosen.number, why

    return choose


def test_lead_within_its_noise_leaves_the_default(choose) -> None:
    chosen, why = choose((0.93, 0.92, 0.90))
    assert chosen == 0
    assert why == (
        "Exported is the default configuration, trial 0: the search's best, trial 5, leads it by 0.0067 over its "
        "folds, with a standard error of 0.0120, which is no more than noise."
    )


def test_lead_beyond_its_noise_is_exported(choose) -> None:
    chosen, why = choose((0.93, 0.94, 0.94))
    assert chosen == 5
    assert why.startswith(
        "Trial 5 leads the default configuration (trial 0) by 0.0267 over its folds, with a "
    )


def test_loss_leads_where_it_is_lower(choose) -> None:
    assert choose((0.83, 0.84, 0.84), metric="loss")[0] == 5


def test_nothing_is_compared_without_folds_or_before_a_race_or_with_folds_unfinished(choose) -> None:
    assert choose((0.93, 0.92, 0.90), folds=0) == (5, "")
    assert choose((0.93, 0.92, 0.90), length=10**9) == (5, "")
    assert choose((0.93, 0.92, 0.90), default=(0.9, 0.92)) == (5, "")
