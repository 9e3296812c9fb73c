"""The templates that this package brings along, and what escapes the words from outside in them."""

import re
from functools import cache
from typing import Any

import jinja2

# What would be markup in the middle of a line of Markdown, or end a cell of a table.
MARKUP = re.compile(r"([\\`*_\[\]<>|#~$&])")


@cache
def environment() -> jinja2.Environment:
    """HTML templates escape whatever is put into them; those of Markdown say ``| md`` where words are from outside."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("search", "templates"),
        autoescape=jinja2.select_autoescape(["html"], default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    made.filters["md"] = markdown
    return made


def markdown(value: Any) -> str:
    """Words as Markdown shows them, in one line."""
    return MARKUP.sub(r"\\\1", " ".join(str(value).split()))
