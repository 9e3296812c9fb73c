"""What bounds a search."""

import time
from typing import Any

from search.config.settings import RunOptions
from search.study.ending import Ending
from search.workflows.run import _bound


def test_time_that_went_into_preparing_is_said_to_have() -> None:
    """Backbones were compared for longer than ``--timeout``, and the search ended before it began without a reason."""
    study: Any = None
    options = RunOptions.given("s", data="digits", timeout=40)
    late = _bound(study, options, time.monotonic() - 70, Ending())
    assert late.requested
    assert late.reason == "the time is up (--timeout): to prepare the search took 1 min 10 s"
    assert not _bound(study, options, time.monotonic(), Ending()).requested
