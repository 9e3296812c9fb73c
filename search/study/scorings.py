"""How often a study's test images have been looked at, by it or by another study of the same images."""

import json
from collections.abc import Mapping
from typing import Any

from optuna.storages import BaseStorage

from search.study.study import CONFIG, LoadedStudy
from storage.ledger import KEY


def times_images_scored(study: LoadedStudy, storage: BaseStorage | None = None) -> int:
    """How often all studies of the database with the same test images have scored them.

    They are the same at another image size, too. Studies that know no digest of them are those with the same prepared
    images.

    Args:
        study: The open study.
        storage: The database as it is to be read; by default with retries.
    """
    ours = study.config

    def of_the_same(attributes: Mapping[str, Any]) -> bool:
        if CONFIG not in attributes:  # Nobody's, or somebody else's.
            return False
        theirs = json.loads(attributes[CONFIG])
        is_same = bool(ours.test_digest) and theirs.get("test_digest") == ours.test_digest
        return is_same or bool(theirs["fingerprint"] == ours.fingerprint)

    studies = (storage or study.storage).get_all_studies()
    return sum(len(one.user_attrs.get(KEY, [])) for one in studies if of_the_same(one.user_attrs))
