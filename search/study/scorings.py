"""How often a study's test images have been looked at, by it or by another study of the same images."""

import json
from collections.abc import Mapping
from typing import Any

from optuna.storages import BaseStorage

from search.study.study import CONFIG, LoadedStudy
from storage.ledger import times_scored_by_all


def times_images_scored(study: LoadedStudy, storage: BaseStorage | None = None) -> int:
    """How often all studies of the database with the same prepared images have scored the test images.

    Args:
        study: The open study.
        storage: The database as it is to be read; by default with retries.
    """

    def of_the_same(attributes: Mapping[str, Any]) -> bool:
        if CONFIG not in attributes:  # Nobody's, or somebody else's.
            return False
        return bool(json.loads(attributes[CONFIG])["fingerprint"] == study.config.fingerprint)

    return times_scored_by_all(storage or study.storage, of_the_same)
