"""Loads the templates of this room, and escapes the words from outside that are put into them."""

import re
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup, escape

from search.formatting import count, often, percent, unbroken

# Characters that would be markup in the middle of a line of Markdown, or end a cell of a table.
FLAG = re.compile(r"--[a-z][a-z-]+")
MARKUP = re.compile(r"([\\`*_\[\]<>|#~$&])")


@cache
def environment() -> jinja2.Environment:
    """The environment that loads the templates.

    HTML templates escape whatever is put into them; those of Markdown say ``| md`` where words come from outside.
    No figure is parted from its unit; what is to be copied as it is, such as a command, says ``| safe`` or ``| e``.
    """
    loaded = jinja2.Environment(
        loader=jinja2.PackageLoader("search", "templates"),
        autoescape=jinja2.select_autoescape(["html"], default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_unbroken,
    )
    loaded.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    loaded.filters |= {"md": markdown, "prose": prose}
    loaded.globals |= {"count": count, "often": often, "percent": percent}
    return loaded


def _unbroken(value: Any) -> Any:
    return unbroken(value) if type(value) is str else value  # What is markup already is a type of its own.


def prose(value: str) -> Markup:
    """A sentence for a page, in which a line is not broken inside the name of a flag either."""
    return Markup(FLAG.sub(r'<span style="white-space: nowrap">\g<0></span>', str(escape(unbroken(value)))))


def markdown(value: Any) -> str:
    """Words escaped so that Markdown shows them as they are, in one line."""
    return MARKUP.sub(r"\\\1", " ".join(str(value).split()))
