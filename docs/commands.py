"""Print the reference of all commands: ``python docs/commands.py > docs/commands.md``.

It is made from the command objects that the program runs, whatever they were made from, so that the page has every flag
with the help that ``--help`` shows. A test compares the page with what this script prints.
"""

import re
from typing import Any

from search.cli.program import commands

HEAD = """\
# Commands

<!-- Made by `python docs/commands.py > docs/commands.md`. Change the commands or that script, not this page. -->

Each command is a Python module, such as `python -m search.run`, and a subcommand of the program that the installation
brings, such as `keras-image-search run` (or `python -m search run`). A shell completes the program's commands and
flags, names of studies included,
after `keras-image-search --install-completion`. Behind each command stands a Python
function with the flags as its arguments; a few names differ, as `--studies`, which is `root`. `run_study` and
`export_study` come from `search`, `run_sweep` and `join_study` from `search.workflows`; `help(run_study)` lists all.

| exit code | what it means |
| --- | --- |
| 0 | It is done; so is a search that your `--timeout` or `--budget` has ended, once a trial of it is complete. |
| 1 | It is not done: failures have ended the search, or no trial of it is complete; a sweep has not all its runs, you \
declined, a file could not be read. Or the program has a fault. |
| 2 | The input is wrong. One line says what was given, what was expected and how to mend it. |
| 130 | You stopped it. |

Colours go to a terminal alone, and not where the environment has `NO_COLOR`. Every command has these flags:
"""


def render() -> str:
    """The whole page."""
    rows = {
        name: [row(one) for one in command.params if not one.hidden] for name, command in commands().items()
    }
    common = set.intersection(*map(set, rows.values()))
    parts = [HEAD, table([one for one in rows["run"] if one in common])]
    for name, command in commands().items():
        example = re.sub(r"^ +", "", plain(command.epilog).removeprefix("Example:\n"), flags=re.MULTILINE)
        parts += [
            f"## {name}",
            code(plain(command.help)),
            table([one for one in rows[name] if one not in common]),
        ]
        parts += [f"```sh\n{example}\n```"]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def table(rows: list[str]) -> str:
    """Rows under the table's head."""
    return "\n".join(["| flag | value | default | what it is |", "| --- | --- | --- | --- |", *rows])


def row(parameter: Any) -> str:
    """One flag, or argument without a flag, as a row of the table."""
    is_flag = parameter.param_type_name == "option"
    takes_value = not (is_flag and parameter.is_flag)
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    value = f"`{parameter.metavar or parameter.name.upper()}`" if takes_value else ""
    cells = [names if is_flag else "(none)", value, default(parameter, takes_value), code(parameter.help)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def default(parameter: Any, takes_value: bool) -> str:
    """The default value; empty where the help, the study or a preset says what is taken."""
    if parameter.required:
        return "required"
    if takes_value:
        return f"`{parameter.default}`" if parameter.default not in (None, "", (), []) else ""
    if parameter.default is None or not parameter.secondary_opts:
        return ""
    return f"`{parameter.opts[0] if parameter.default else parameter.secondary_opts[0]}`"


def code(text: str) -> str:
    """Text whose flags are set as code."""
    return re.sub(r"(?<![\w`-])--[a-z][a-z-]+", r"`\g<0>`", text)


def plain(text: str | None) -> str:
    """A command's own text without the mark that keeps its lines from being joined."""
    return (text or "").replace("\b", "").strip()


if __name__ == "__main__":
    print(render(), end="")
