"""The test images are looked at by all studies of the same images together."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from search.config.settings import RunOptions
from search.data.preparation import prepare
from search.execution.worker import Worker
from search.study.creation import new_config
from search.study.finding import create_study
from search.study.scorings import times_images_scored
from search.study.study import CONFIG, LoadedStudy
from storage.ledger import record_scoring


def scored_by_another(first: LoadedStudy, name: str, **changes: Any) -> LoadedStudy:
    """Another study in the database of the first one, which has scored its test images once."""
    config = dataclasses.replace(first.config, study=name, **changes)
    other = create_study(config, first.dataset().folder, None, first.paths.root)
    assert other is not None
    record_scoring(other.optuna, 0, "export")
    return other


def test_scorings_of_the_same_images_are_counted_through_all_studies(
    make_worker: Callable[..., Worker],
) -> None:
    first = make_worker("first").study
    scored_by_another(first, "second")
    scored_by_another(first, "third", fingerprint="0" * 32)
    first.storage.create_new_study(first.optuna.directions, "somebody else's")
    record_scoring(first.optuna, 0, "export")
    assert times_images_scored(first) == 2


def test_scorings_of_the_same_images_at_another_size_are_counted(make_worker: Callable[..., Worker]) -> None:
    """Whoever tried one size after the other was told each time that the test images were scored once."""
    first = make_worker("first", test_digest="d" * 32).study
    scored_by_another(first, "larger", fingerprint="0" * 32)
    scored_by_another(first, "others", fingerprint="1" * 32, test_digest="e" * 32)
    assert times_images_scored(first) == 1


def test_scorings_of_a_study_from_before_there_were_digests_are_counted_by_its_fingerprint(
    make_worker: Callable[..., Worker],
) -> None:
    first = make_worker("first", test_digest="d" * 32).study
    older = scored_by_another(first, "older")
    stored = json.loads(older.optuna.user_attrs[CONFIG])
    del stored["test_digest"]
    older.optuna.set_user_attr(CONFIG, json.dumps(stored))
    assert times_images_scored(first) == 1


def test_new_study_has_the_digest_of_its_test_images(tmp_path: Path) -> None:
    found = [
        new_config(RunOptions.given("s"), prepare("digits", image_size=size, cache=tmp_path))
        for size in (8, 12)
    ]
    assert found[0].test_digest == found[1].test_digest != ""
