"""Jobs for the tests of exports, run in a child of the fork server."""

import importlib
import os


def run_main(payload, channel):
    """Run the command line of a module that otherwise has a process of its own, and tell its exit status."""
    status = importlib.import_module(payload["module"]).main(payload["arguments"])
    channel.send({"kind": "done", "status": status})


def run_lines(payload, channel):
    """Run lines of Python as a script in a folder."""
    os.chdir(payload["folder"])
    exec(payload["lines"], {"__name__": "__main__"})
    channel.send({"kind": "done"})
