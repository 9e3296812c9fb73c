"""Runs several of our commands, each in a process of its own that is forked from this one.

``python run_commands.py FOLDER '[["run", "--help"], ...]'`` prints a list in JSON with an object for each: its exit
code, what it printed and complained of, and the modules that it had loaded at its end. What all of them import before
they do anything is imported once, so that a dozen commands take hardly longer than one.
"""

import json
import os
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

import search.cli.app  # noqa: F401


def run(argv: list[str], folder: Path) -> dict[str, Any]:
    places = [folder / name for name in ("stdout", "stderr", "modules")]
    pid = os.fork()
    if pid == 0:
        run_here(argv, *places)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    out, err, modules = (place.read_text("utf-8") for place in places)
    return {"code": code, "out": out, "err": err, "modules": modules.split()}


def run_here(argv: list[str], out: Path, err: Path, modules: Path) -> NoReturn:
    """Be ``python -m search.COMMAND ARGUMENTS``, and end."""
    code: int | str | None = 1
    try:
        for stream, place in ((1, out), (2, err)):
            os.dup2(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        sys.argv = argv
        runpy.run_module(f"search.{argv[0]}", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    modules.write_text("\n".join(sys.modules))
    os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    print(json.dumps([run(argv, Path(sys.argv[1])) for argv in json.loads(sys.argv[2])]))
