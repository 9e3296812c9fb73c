"""The digest of a user's code: what changes it, what does not, and that nothing is run for it."""

import sys
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest

import spaces
from spaces.source import digest, find

SPACE = '''
"""A space."""

from own_blocks import block
import numpy
from spaces.arithmetic import CostCounter


def build(params, input_spec):
    """Build the net."""
    import own_layers  # It imports Keras.

    return block(params["filters"], None, f"{params}")
'''


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path, with a space and what it imports beside it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_space.py").write_text(SPACE)
    (tmp_path / "own_blocks.py").write_text("WIDTH = 3\ndef block(*given): return WIDTH\n")
    (tmp_path / "own_layers.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "other.py").write_text("")
    return tmp_path


def code(module: str) -> str:
    spec = find(module)
    assert spec is not None
    return digest(spec)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("A space.", "Another docstring."),
        ("Build the net.", "Build the nets."),
        ("# It imports Keras.", ""),
        ("    return", "\n\n\n    return"),
        ('params["filters"]', "params['filters']"),
    ],
)
def test_digest_ignores_what_does_nothing(place: Path, old: str, new: str) -> None:
    before = code("own_space")
    assert old in SPACE
    (place / "own_space.py").write_text(SPACE.replace(old, new))
    assert code("own_space") == before


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("own_space.py", SPACE.replace('"filters"', '"width"')),
        ("own_space.py", SPACE.replace("None", "0")),
        ("own_space.py", SPACE[:-20]),
        ("own_space.py", ""),
        ("own_blocks.py", "WIDTH = 4\ndef block(*given): return WIDTH\n"),
        ("own_layers.py", "raise SystemExit('again')\n"),
    ],
    ids=["a name", "a value", "half saved", "emptied", "a module beside it", "one imported in a function"],
)
def test_digest_changes_with_the_code_and_what_it_imports(place: Path, file: str, text: str) -> None:
    before = code("own_space")
    (place / file).write_text(text)
    assert code("own_space") != before


def test_digest_ignores_modules_that_are_not_imported(place: Path) -> None:
    before = code("own_space")
    (place / "other.py").write_text("x = 1\n")
    assert code("own_space") == before


def test_digest_is_the_same_in_another_folder(
    place: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = code("own_space")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for file in place.glob("own_*.py"):
        file.rename(elsewhere / file.name)
    monkeypatch.syspath_prepend(str(elsewhere))
    assert code("own_space") == before


@pytest.mark.parametrize("statement", ["from . import deep", "from .deep import x", "import pack.deep"])
def test_digest_follows_imports_inside_a_package(place: Path, statement: str) -> None:
    (place / "pack").mkdir()
    (place / "pack" / "__init__.py").write_text("raise SystemExit('imported')\n")
    (place / "pack" / "space.py").write_text(statement + "\n")
    (place / "pack" / "deep.py").write_text("x = 1\n")
    seen = {code("pack.space")}
    (place / "pack" / "deep.py").write_text("x = 2\n")
    seen.add(code("pack.space"))
    (place / "pack" / "__init__.py").write_text("")
    seen.add(code("pack.space"))
    assert len(seen) == 3
    assert "pack" not in sys.modules


def test_digest_leaves_installed_modules_out(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = place / "site-packages"
    installed.mkdir()
    monkeypatch.syspath_prepend(str(installed))
    (installed / "shop_space.py").write_text("import shop_blocks\n")
    (installed / "shop_blocks.py").write_text("x = 1\n")
    before = code("shop_space")
    (installed / "shop_blocks.py").write_text("x = 2\n")
    assert code("shop_space") == before


def test_find_of_nothing() -> None:
    assert find("no_such_module.deep") is None
    assert find("os.path.deep") is None


# What each version's code is. It fails when the code of a space of ours changes: where its ranges, costs, nets or
# recipes changed, raise its VERSION, so that no study mixes two nets; in any case put the new digest here.
CODE = {
    "cnn": (2, "186c732e0f391e90"),
    "cnn_wide": (1, "0f1e6ba97e1e0b25"),
    "photo_cnn": (2, "dcd8ccdd1bf22da3"),
    "transfer": (2, "0e68f18179a524f3"),
}


@pytest.mark.parametrize("name", spaces.REGISTERED)
def test_code_of_registered_space_is_that_of_its_version(name: str) -> None:
    module = spaces.load(name)
    own = spec_from_file_location(name, module.__file__)
    assert own is not None
    assert (module.VERSION, digest(own)) == CODE[name]
