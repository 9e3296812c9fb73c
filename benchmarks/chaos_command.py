"""The command that ``chaos.py`` starts again and again: ``search.worker`` with a checkpoint after every epoch.

The command itself has no flag for that, nor for the waiting times, which ``CHAOS_TIMEOUTS`` of the environment holds as
JSON. A fork server is started again at most once a second, not once a minute: here one is killed that often.
"""

import dataclasses
import json
import os

from search.cli.app import main
from search.config.settings import WorkerOptions
from search.process import fork_server
from search.worker import app
from search.workflows import join as join_workflow
from storage.timeouts import Timeouts

join = join_workflow.join


def join_at_every_epoch(options: WorkerOptions) -> str:
    """``join`` with these settings."""
    times = Timeouts(**json.loads(os.environ["CHAOS_TIMEOUTS"]))
    return join(dataclasses.replace(options, times=times, checkpoint_seconds=0.0))


if __name__ == "__main__":
    fork_server.BETWEEN_LAUNCHES = 1.0
    join_workflow.join = join_at_every_epoch
    main(app)
