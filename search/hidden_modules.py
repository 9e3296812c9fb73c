"""Refuses a working folder whose files Python would import in place of modules of its own.

``python -m search.run`` looks for modules in the current folder first: a ``queue.py`` there, of whatever else is done
in it, is what Keras would get as ``queue``, and would fail by minutes later. So this is looked at before anything else
is imported, and imports itself only what Python has loaded by then.
"""

import os
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

# A file that is called so hides what nobody imports: Python's own tests, a greeting, a drawing program.
NOT_MISSED = {"test", "this", "antigravity", "idlelib", "turtle", "turtledemo"}


def refuse_hidden_modules() -> None:
    """End the command with one line where the current folder hides modules of Python's own.

    Only where a command of this program is being called: whoever imports ``search`` decides himself. The processes that
    a command starts run with ``-P`` on the path of the command, which has been looked at.

    Raises:
        SystemExit: With exit code 2; a line on standard error says what is hidden.
    """
    # "-m" is what Python puts there while it looks for the module that it is to run.
    called = sys.argv[:1] == ["-m"] and not sys.flags.safe_path
    ours = any(word.removeprefix("-m").partition(".")[0] == "search" for word in sys.orig_argv)
    if not called or not ours or not (hidden := hidden_modules()):
        return
    names, places = " and ".join(hidden), " and ".join(hidden.values())
    hides, it = (
        ("hides Python's own module", "it") if len(hidden) == 1 else ("hide Python's own modules", "them")
    )
    print(f"error: {places} {hides} {names}: rename {it}, or start in another folder", file=sys.stderr)
    raise SystemExit(2)


def hidden_modules() -> dict[str, str]:
    """Each module of Python's own that an import would take from the current folder, and from where in it.

    A folder without an ``__init__.py`` hides nothing, nor does a file that is called as a module inside the interpreter
    itself (``time``, ``os``). One pass over the folder's names (of 20, 10 microseconds; of 50,000, 30 milliseconds)
    leaves few to ask Python's own search about.
    """
    try:
        here = os.getcwd()  # noqa: PTH109 - importing pathlib here would take the folder's own
        with os.scandir(here) as entries:
            names = {entry.name.partition(".")[0] for entry in entries} & sys.stdlib_module_names - NOT_MISSED
    except OSError:  # The folder is gone, or cannot be read: Python finds nothing in it either.
        return {}
    elsewhere = [place for place in sys.path if place not in ("", here)]
    hidden = {}
    for name in sorted(names):
        if BuiltinImporter.find_spec(name) or FrozenImporter.find_spec(name):
            continue
        found, own = PathFinder.find_spec(name), PathFinder.find_spec(name, elsewhere)
        if found and found.origin and own and own.origin and found.origin != own.origin:
            hidden[name] = f".{os.sep}{os.path.relpath(found.origin, here)}"
    return hidden
