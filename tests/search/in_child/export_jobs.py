"""Jobs for the tests of exports, run in a child of the fork server."""

import os


def verify(payload, channel):
    """Check an exported file, which otherwise a fresh process does, and tell what differs."""
    from search.exporting.verification import verify

    channel.send({"kind": "done", "problem": verify(*payload["arguments"])})


def run_lines(payload, channel):
    """Run lines of Python as a script in a folder."""
    os.chdir(payload["folder"])
    exec(payload["lines"], {"__name__": "__main__"})
    channel.send({"kind": "done"})
