"""How the Python that runs a command is called from the shell that it was called from.

All messages name commands as ``python -m search.run``, as the documentation does. Outside an activated environment
``python`` is another Python, or none, where ``.venv/bin/python`` is this one: the terminal translates them on their way
out. What is kept, a report or a note in the database, is read elsewhere, and keeps ``python``.
"""

import re
import shlex
import shutil
import sys
from pathlib import Path

_PYTHON = re.compile(r"(?<![\w./~-])python(?= -m (?:search\.\w|tensorboard\.main |pip ))")


def as_typed_here(text: str) -> str:
    """The text with the commands in it as they are typed where the user stands."""
    if not _PYTHON.search(text):
        return text
    word = interpreter()
    return _PYTHON.sub(lambda _: word, text)


def to_install(extra: str) -> str:
    """What installs an extra of this project, in words; it works from any folder, for the project itself is there."""
    return f"run python -m pip install 'keras-image-search[{extra}]'"


def interpreter() -> str:
    """``python`` where that is this interpreter, or ``python3``; else its path, from here if it lies below."""
    own = Path(sys.executable)
    for word in ("python", "python3"):
        found = shutil.which(word)
        # A virtual environment's is a link to one outside, which knows none of its packages: the folder decides.
        if found and _is_same(Path(found).parent, own.parent) and _is_same(Path(found), own):
            return word
    try:
        below = own.relative_to(Path.cwd())
    except (ValueError, OSError):  # It lies elsewhere, or the folder is gone.
        return shlex.quote(str(own))
    return shlex.quote(str(below) if len(below.parts) > 1 else f"./{below}")


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
