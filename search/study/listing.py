"""The studies of a database, each in one record."""

import json
from dataclasses import dataclass
from typing import Any

from search.config.arguments import arguments_of
from search.config.host_settings import PlaceSettings
from search.errors import InputError
from search.study.finding import storage_error
from search.study.study import CONFIG, DATASET, WANTED
from storage.liveness import is_worker_dead
from storage.queries import StudySummary, read_study_summaries
from storage.timeouts import Timeouts
from storage.url import default_url, parse, redacted, storage_url

FOREIGN = "not made by search.run"


@dataclass(frozen=True)
class Listed:
    """A study in the list of studies.

    Attributes:
        study: Its name.
        state: ``running`` where a worker gave a sign of life lately; ``done`` with all its trials; ``empty`` where
            nobody has worked on it; else ``unfinished``. ``not made by search.run`` if somebody else's.
        workers: Number of workers at work on it.
        finished: Number of its finished and pruned trials.
        wanted: How many of these it shall have; None where nobody said.
        failed: Number of its failed trials.
        metric: What ranks its trials; empty if somebody else's.
        best: Value of the best finished trial; None before there is one.
        data: Where its images came from.
        seconds_since: Seconds since it was last worked on; None if it never was.
    """

    study: str
    state: str
    workers: int = 0
    finished: int = 0
    wanted: int | None = None
    failed: int = 0
    metric: str = ""
    best: float | None = None
    data: str = ""
    seconds_since: float | None = None


def studies_at(place: PlaceSettings) -> list[Listed]:
    """List the studies of a database, the one last worked on first; nothing is created.

    Raises:
        InputError: There is no database, or it does not answer.
    """
    root, storage = place.root, place.storage
    url = storage_url(storage, root)
    try:
        found = None if url == default_url(root) and not root.is_dir() else read_study_summaries(url)
        if found is None:
            raise InputError(
                f"--storage {redacted(parse(url))}: no studies there; begin one, such as python -m search.run "
                "--study digits_cnn, or say with --studies or --storage where they are"
            )
    except ValueError as error:
        raise storage_error(error, storage) from None
    except OSError as error:
        raise InputError(str(error)) from None
    overviews, now = found
    listed = [_listed(one, now) for one in overviews]
    return sorted(listed, key=lambda one: float("inf") if one.seconds_since is None else one.seconds_since)


def _listed(one: StudySummary, now: float) -> Listed:
    counts = one.counts
    finished, failed = counts.get("COMPLETE", 0) + counts.get("PRUNED", 0), counts.get("FAIL", 0)
    since = None if one.last_active is None else max(0.0, now - one.last_active)
    config = _config(one.attributes.get(CONFIG))
    if config is None and DATASET not in one.attributes:
        return Listed(one.name, FOREIGN, 0, finished, None, failed, "", one.best, "", since)
    config = config or {}  # In the making.
    finished -= one.refused
    grace = float(config.get("grace", Timeouts.grace))
    alive = {life["worker"] for life in one.heartbeats if not is_worker_dead(life, now, grace)}
    wanted = one.attributes.get(WANTED) or None
    state = "unfinished"
    if alive:
        state = "running"
    elif wanted is not None and finished >= wanted:
        state = "done"
    elif not finished + failed and since is None:
        state = "empty"
    metric, data = str(config.get("metric", "")), str(config.get("data", ""))
    return Listed(one.name, state, len(alive), finished, wanted, failed, metric, one.best, data, since)


def _config(text: Any) -> dict[str, Any] | None:
    """The config of a study, unchecked, so that one of another version is listed too."""
    try:
        read = json.loads(text)
    except (TypeError, ValueError):
        return None
    return read if isinstance(read, dict) else None


# As notebooks and scripts call it, with an argument for each option.
list_studies = arguments_of("list_studies", PlaceSettings, studies_at)
