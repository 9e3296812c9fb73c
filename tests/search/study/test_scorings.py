"""The test images are looked at by all studies of the same images together."""

import dataclasses

from search.study.finding import create_study
from search.study.scorings import times_images_scored
from storage.ledger import record_scoring


def test_scorings_of_the_same_images_are_counted_through_all_studies(make_worker) -> None:
    first = make_worker("first").study
    for name, fingerprint in (("second", first.config.fingerprint), ("third", "0" * 32)):
        config = dataclasses.replace(first.config, study=name, fingerprint=fingerprint)
        other = create_study(config, first.dataset().folder, None, first.paths.root)
        record_scoring(other.optuna, 0, "export")
    first.storage.create_new_study(first.optuna.directions, "somebody else's")
    record_scoring(first.optuna, 0, "export")
    assert times_images_scored(first) == 2
