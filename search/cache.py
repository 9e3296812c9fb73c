"""``python -m search.cache``: what lies in this host's cache, and its removal."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli.app import main, make_app
from search.cli.options import flag, flag_for
from search.config.host_settings import CacheSettings
from search.errors import InputError
from search.formatting import ago

if TYPE_CHECKING:
    from search.data.cache_contents import Cached


def show(listed: "list[Cached]") -> None:
    """Print a row for each entry, and how much they take together."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from search.data.cache_contents import SHOWN

    rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for head in ("name", "kind", "size", "last used", "of what"):
        rows.add_column(head, justify="right" if head == "size" else "left", overflow="fold")
    for one in listed:
        since = f"{ago(max(0.0, time.time() - one.used))} ago"
        rows.add_row(*map(Text, (one.name[:SHOWN], one.kind, megabytes(one.size), since, one.what)))
    console = Console()
    if not console.is_terminal:  # A file or a pipe has no width to keep to.
        console.width = 80 + max((len(one.what) for one in listed), default=0)
    console.print(rows)


def as_object(folder: Path, listed: "list[Cached]") -> dict[str, Any]:
    """The list for scripts: plain values."""
    fields = ("name", "kind", "what", "size", "used")
    return {
        "cache": str(folder),
        "entries": [{name: getattr(one, name) for name in fields} for one in listed],
    }


def megabytes(size: int) -> str:
    """``12.3 MB``."""
    return f"{size / 1e6:,.1f} MB"


def cache(
    clear: Annotated[
        list[str] | None,
        flag("--clear", metavar="NAME|all", help="Remove what is called so, or all; repeatable."),
    ] = None,
    yes: Annotated[bool, flag("--yes", help="Do not ask.")] = False,
    cache: Annotated[Path | None, flag_for(CacheSettings, "cache")] = None,
    as_json: Annotated[
        bool, flag("--json", help="One JSON object for scripts: the folder, and what lies in it.")
    ] = False,
) -> None:
    """List this host's cache: prepared images, unpacked archives, backbones, features; with --clear remove some of it.

    Studies and exports are not in it. What was removed is made again when a search needs it, from the data; a search
    that is using it must be stopped first.
    """
    from search.data import cache_contents
    from search.data.cache import cache_root

    folder = cache or cache_root()
    listed = cache_contents.list_cache(folder)
    if as_json:
        if clear:
            raise InputError("--json lists and --clear removes: leave one of the two out")
        print(json.dumps(as_object(folder, listed), indent=2))
        return
    chosen = cache_contents.choose(listed, clear or ()) if clear else listed
    if not chosen:
        print(f"nothing in {folder}")
        return
    if clear and not yes and not sys.stdin.isatty():
        raise InputError(f"--clear {clear[0]}: nobody can be asked here; pass --yes to remove it")
    show(chosen)
    size = megabytes(sum(one.size for one in chosen))
    if not clear:
        print(f"{size} in {folder}")
        return
    if not yes and not typer.confirm(f"Remove {size}?"):
        print("nothing was removed")
        raise typer.Exit(1)
    print(f"{megabytes(cache_contents.clear(folder, chosen))} are free again")


app = make_app(
    cache,
    example="""
python -m search.cache
python -m search.cache --clear 15872ce3e2ec
""",
)

if __name__ == "__main__":
    main(app)
