"""Loads the templates of this room, and escapes the words from outside that are put into them."""

import re
from functools import cache
from typing import Any

import jinja2

from search.formatting import count, often, percent

# Characters that would be markup in the middle of a line of Markdown, or end a cell of a table.
MARKUP = re.compile(r"([\\`*_\[\]<>|#~$&])")


@cache
def environment() -> jinja2.Environment:
    """The environment that loads the templates.

    HTML templates escape whatever is put into them; those of Markdown say ``| md`` where words come from outside.
    """
    loaded = jinja2.Environment(
        loader=jinja2.PackageLoader("search", "templates"),
        autoescape=jinja2.select_autoescape(["html"], default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    loaded.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    loaded.filters["md"] = markdown
    loaded.globals |= {"count": count, "often": often, "percent": percent}
    return loaded


def markdown(value: Any) -> str:
    """Words escaped so that Markdown shows them as they are, in one line."""
    return MARKUP.sub(r"\\\1", " ".join(str(value).split()))
