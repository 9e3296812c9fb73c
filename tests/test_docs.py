"""The documentation is true: what it shows runs, what it names exists, and what it promises to be it is."""

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text("utf-8")
# What a user reads; the others are for those who work on it.
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
DOCUMENTS = [*PAGES, *sorted({*ROOT.glob("*.md"), *ROOT.glob("benchmarks/**/*.md")} - set(PAGES))]
ALL_PAGES = "\n".join(page.read_text("utf-8") for page in PAGES)
REFERENCE = runpy.run_path(str(DOCS / "commands.py"))
COMMANDS: dict[str, Any] = REFERENCE["commands"]()
GROUPS = {name.partition(" ")[0] for name in COMMANDS}
PYTHON = re.findall(r"```python\n(.*?)```", ALL_PAGES, re.DOTALL)
SHORT_NOTEBOOK, NOTEBOOK = (block for block in PYTHON if "run_study" in block)
SPACE = next(block for block in PYTHON if "def sample" in block)
MODEL = next(block for block in PYTHON if "def build(trial)" in block)
EXAMPLE = (DOCS / "notebook.ipynb").read_text("utf-8")
# A space and a model know no backend, and this one is there in a second.
AT_ONCE = "numpy"
LONGEST_README, LARGEST_PICTURE = 150, 150_000
# Builds the space for one configuration and compares its cost with the net; Keras stays out of this process.
TRY_SPACE = """
import optuna, spaces
from spaces import InputSpec
input_spec = InputSpec(8, 8, 1, 10)
space = spaces.load("my_space")
params = space.sample(optuna.create_study().ask(), input_spec)
model = space.build(params, input_spec)
assert space.cost(params, input_spec).parameters == model.count_params(), (params, model.count_params())
assert model.output_shape == (None, 10)
"""
TRY_MODEL = """
import sys
sys.modules["tensorflow"] = None  # Keras would import it, for seconds, to ask whether something is one of its shapes.
import optuna, spaces
from search.training.user_model import prepared
model = spaces.load("my_model.py:build").make(optuna.create_study().ask())
assert prepared(model, (8, 8, 1), 10).count_params()
"""

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def python(*argv: str, cwd: Path, timeout: int = 280, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh process in ``cwd``, with a home and so a cache of its own."""
    home = {"HOME": str(cwd), "XDG_CACHE_HOME": str(cwd / "cache")}
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **home, **environment}
    return subprocess.run(
        [sys.executable, *argv], cwd=cwd, env=environ, capture_output=True, text=True, timeout=timeout
    )


def flags(text: str) -> set[str]:
    """The flags that are named in a text."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


def flags_of(command: Any) -> set[str]:
    """The long flags that a command takes."""
    return {
        name for one in command.params for name in [*one.opts, *one.secondary_opts] if name.startswith("--")
    }


def command_lines(text: str) -> list[tuple[str, str]]:
    """The commands of ours in a text, each with its arguments: up to the end of the line, the code, the pipe or $()."""
    found = re.findall(r"(?:python -m search\.|keras-image-search )(\w+)((?:(?!\)\")[^\n`|#…])*)", text)
    lines = []
    for name, rest in found:
        own, _, after = rest.strip().partition(" ")
        inside = f"{name} {own}" in COMMANDS
        lines.append((f"{name} {own}", after.strip()) if inside else (name, rest.strip()))
    return lines


def why_refused(name: str, rest: str) -> str:
    """What the command says against the arguments; empty where it takes them."""
    try:
        COMMANDS[name].make_context(name, shlex.split(rest))
    except typer.BadParameter.__mro__[2] as error:  # The base of all that is wrong with a command line.
        return str(error)
    return ""


def anchors(document: Path) -> set[str]:
    """What a link to a page may name after ``#``: its headings, spelt as GitHub spells them."""
    prose = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(document: Path) -> list[str]:
    """The links of a document, and its pictures, to files of ours and to headings."""
    found = re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8"))
    return [link for link in found if "://" not in link]


@pytest.mark.slow
def test_notebook_runs_and_shows_what_its_page_does(tmp_path: Path) -> None:
    process = python(str(DOCS / "notebook.py"), str(tmp_path), cwd=tmp_path)
    assert process.returncode == 0, process.stderr[-3000:]
    made, page = (json.loads(text)["cells"] for text in (process.stdout, EXAMPLE))
    assert [cell["source"] for cell in made] == [cell["source"] for cell in page], (
        "python docs/notebook.py > docs/notebook.ipynb makes it anew"
    )
    kinds = [[(one["output_type"], *one.get("data", ())) for one in cell.get("outputs", ())] for cell in made]
    assert kinds == [
        [(one["output_type"], *one.get("data", ())) for one in cell.get("outputs", ())] for cell in page
    ]
    assert "precision" in process.stdout
    assert (tmp_path / "exports" / "digits_arrays" / "model.keras").is_file()


def test_example_notebook_has_what_the_page_on_the_search_shows_and_names_no_machine() -> None:
    code = "\n".join("".join(cell["source"]) for cell in json.loads(EXAMPLE)["cells"])
    assert set(filter(None, NOTEBOOK.splitlines())) <= set(code.splitlines())
    words = re.sub(r"[A-Za-z0-9+/=]{200,}", "", EXAMPLE)  # Pictures, in whose letters anything may stand.
    assert not re.search(r"/(tmp|home|root|work)/|0x[0-9a-f]{6}", words)


def test_short_notebook_is_the_one_that_runs_but_for_its_data() -> None:
    # A run of its own would cost the suite half a minute and show no more.
    arrays = SHORT_NOTEBOOK.replace("digits_notebook", "digits_arrays").replace(
        'data="digits"', "data=(x_train, y_train, x_test, y_test)"
    )
    lines = [line.partition("  #")[0] for line in arrays.splitlines()]
    assert 'data="digits"' in SHORT_NOTEBOOK
    assert set(lines) <= set(NOTEBOOK.splitlines())


@pytest.mark.parametrize(("block", "most"), [(SHORT_NOTEBOOK, 5), (NOTEBOOK, 10)], ids=["readme", "arrays"])
def test_notebook_is_short(block: str, most: int) -> None:
    assert len([line for line in block.splitlines() if line.strip()]) <= most


def test_space_can_be_sampled_and_built(tmp_path: Path) -> None:
    (tmp_path / "my_space.py").write_text(SPACE)
    process = python("-c", TRY_SPACE, cwd=tmp_path, KERAS_BACKEND=AT_ONCE)
    assert process.returncode == 0, process.stderr[-3000:]


def test_model_is_made_of_the_values_that_it_asks_for(tmp_path: Path) -> None:
    (tmp_path / "my_model.py").write_text(MODEL)
    process = python("-c", TRY_MODEL, cwd=tmp_path, KERAS_BACKEND=AT_ONCE)
    assert process.returncode == 0, process.stderr[-3000:]


def test_space_is_under_thirty_lines() -> None:
    assert len(SPACE.splitlines()) < 30


def test_pages_have_no_python_that_no_test_runs() -> None:
    assert sorted(PYTHON) == sorted([SHORT_NOTEBOOK, NOTEBOOK, SPACE, MODEL])


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= LONGEST_README


def test_readme_opens_with_the_two_commands() -> None:
    first = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)[0]
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make search", "make test"]


def test_readme_shows_two_pictures_before_its_first_command() -> None:
    assert len(re.findall(r"!\[[^\]]+\]\(docs/pictures/", README.partition("```sh")[0])) == 2


@pytest.mark.parametrize("name", COMMANDS)
def test_command_answers_help_with_an_example(name: str) -> None:
    process = python("-m", *f"search.{name}".split(), "--help", cwd=ROOT, timeout=60)
    assert process.returncode == 0, process.stderr
    assert f"python -m search.{name} --" in process.stdout.partition("Example:")[2] or not flags_of(
        COMMANDS[name]
    )
    assert flags_of(COMMANDS[name]) <= flags(process.stdout)


def test_reference_of_the_commands_is_what_the_commands_say() -> None:
    page = (DOCS / "commands.md").read_text("utf-8")
    assert page == REFERENCE["render"](), "python docs/commands.py > docs/commands.md writes it anew"


def test_reference_has_every_command_and_flag() -> None:
    page = (DOCS / "commands.md").read_text("utf-8")
    sections = dict(re.findall(r"^## ([\w ]+)\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE))
    assert list(sections) == list(COMMANDS)
    common = flags(page.partition("\n## ")[0])
    for name, command in COMMANDS.items():
        assert flags_of(command) <= flags(sections[name]) | common, name


@each_document
def test_commands_are_given_what_they_take(document: Path) -> None:
    for name, rest in command_lines(document.read_text("utf-8")):
        known = name in COMMANDS or (not rest and name in GROUPS)
        assert known, f"{document.name} names search.{name}"
        # A command that is only named, without any argument, need not be whole.
        assert not rest or not (why := why_refused(name, rest)), f"python -m search.{name} {rest}: {why}"


@pytest.mark.parametrize(
    ("rest", "because"),
    [
        ("--study mine --no-such-flag", "--no-such-flag"),
        ("--study mine --trials", "--trials"),
        ("--study mine --trials many", "many"),
        ("--trials 3", "study"),
    ],
)
def test_command_that_a_page_must_not_show_is_refused(rest: str, because: str) -> None:
    assert because in why_refused("run", rest)


@each_document
def test_scripts_exist_and_have_the_flags_that_they_are_given(document: Path) -> None:
    for script, rest in re.findall(
        r"python ((?:benchmarks|docs)/\w+\.py)([^\n`|#>]*)", document.read_text("utf-8")
    ):
        assert flags(rest) <= flags((ROOT / script).read_text("utf-8")), f"{script}{rest}"


@each_page
def test_flags_exist(page: Path) -> None:
    # These have flags of their own.
    theirs = (
        r"\b(curl|squeue|srun|kubectl|docker|tensorboard|tensorboard\.main|ray start|ray get-auth-token) .*"
    )
    text = re.sub(theirs, "", page.read_text("utf-8"))
    scripts = [(ROOT / path).read_text("utf-8") for path in re.findall(r"python (benchmarks/\w+\.py)", text)]
    program = {"--install-completion", "--show-completion", "--help"}
    known = set.union(program, flags(" ".join(scripts)), *map(flags_of, COMMANDS.values()))
    assert flags(text) <= known


def test_make_targets_exist() -> None:
    targets = re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", ALL_PAGES, re.MULTILINE))
    assert {"search", "test", "check"} <= named <= set(targets)


def test_extras_that_pages_install_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = set(re.findall(r"python -m pip install 'keras-image-search\[(\w+)\]'", ALL_PAGES))
    assert named == set(project["optional-dependencies"]) - {"test"}


@each_document
def test_links_resolve(document: Path) -> None:
    for link in links(document):
        place, _, anchor = link.partition("#")
        target = document.parent / place if place else document
        assert target.exists(), f"{document.name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{document.name} links to {link}"


@each_document
def test_pictures_say_in_words_what_they_show(document: Path) -> None:
    for words, picture in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", document.read_text("utf-8")):
        assert len(words.split()) >= 4, f"{document.name} shows {picture}"


def test_pictures_of_the_pages_are_shown_and_small() -> None:
    shown = {
        (page.parent / link).resolve() for page in PAGES for link in links(page) if link.endswith(".png")
    }
    for picture in (DOCS / "pictures").iterdir():
        assert picture in shown, picture.name
        assert picture.stat().st_size <= LARGEST_PICTURE, picture.name


def test_index_and_readme_name_every_page() -> None:
    names = {page.name for page in PAGES if page.parent == DOCS}
    assert set(links(DOCS / "README.md")) == names - {"README.md"} | {"../README.md"}
    assert {f"docs/{name}" for name in names} <= {
        link.partition("#")[0] for link in links(ROOT / "README.md")
    }


def test_rooms_in_the_architecture_are_those_on_disk() -> None:
    table = (DOCS / "architecture.md").read_text("utf-8").partition("## The rooms")[2].partition("\n## ")[0]
    named = re.findall(r"^\| `([\w/.]+)` ", table, re.MULTILINE)
    folders = {f"search/{path.parent.name}/" for path in (ROOT / "search").glob("*/__init__.py")}
    files = {f"search/{name}.py" for name in ("hidden_modules", "errors", "presets", "formatting", "run")}
    assert set(named) == folders | files | {"spaces/", "storage/"}
    assert len(named) == len(set(named))


def test_files_that_pages_name_exist() -> None:
    for place in set(re.findall(r"`((?:search|spaces|storage|tests|benchmarks|docs)/[\w/.]*)`", ALL_PAGES)):
        assert (ROOT / place).exists(), place


def test_prepared_studies_in_the_page_on_the_search_are_the_presets() -> None:
    from search.presets import PRESETS

    table = (
        (DOCS / "search.md")
        .read_text("utf-8")
        .partition("## What a study's name says")[2]
        .partition("\n## ")[0]
    )
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| `(\w+)` \| (\d+) \| ([^|]+) \|", table, re.MULTILINE)
    assert {
        name: (data.strip("`"), space, int(trials), long) for name, data, space, trials, long in rows
    } == {
        name: (
            preset.data or "yours",
            preset.space,
            preset.trials,
            f"final of {preset.final}" if preset.final else f"{preset.epochs} epochs",
        )
        for name, preset in PRESETS.items()
    }


def test_spaces_in_the_page_on_spaces_are_those_registered() -> None:
    from spaces import REGISTERED

    text = (DOCS / "spaces.md").read_text("utf-8")
    sentence = text.partition(" spaces are registered: ")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", sentence)) == set(REGISTERED)
