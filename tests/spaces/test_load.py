import sys

import pytest

import spaces

WHOLE = "".join(f"def {name}(*given): ...\n" for name in ("sample", "cost", "build"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current directory, with nothing imported from it left behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def refusal(name):
    with pytest.raises(ValueError, match=r"^space") as refused:
        spaces.load(name)
    message = str(refused.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", spaces.REGISTERED)
def test_load_of_registered_name(name):
    assert spaces.load(name).__name__ == spaces.REGISTERED[name]


def test_load_of_module_in_current_directory(folder):
    (folder / "space_here.py").write_text(WHOLE)
    assert spaces.load("space_here").__name__ == "space_here"


def test_load_of_module_in_package(folder):
    (folder / "package_here").mkdir()
    (folder / "package_here" / "deep.py").write_text(WHOLE)
    assert spaces.load("package_here.deep").__name__ == "package_here.deep"


@pytest.mark.parametrize("name", ["cnn_wild", "space/mine.py", "", ".cnn"])
def test_load_of_unknown_name_lists_the_known(folder, name):
    message = refusal(name)
    assert "cnn, cnn_wide" in message


def test_load_of_missing_module_names_it_and_the_folder(folder):
    message = refusal("nowhere.to_be_found")
    assert "no module nowhere" in message
    assert str(folder) in message


def test_load_of_module_without_functions_names_them(folder):
    (folder / "space_half.py").write_text("def sample(trial, input_spec): ...\n")
    assert "lacks cost, build" in refusal("space_half")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import not_installed_here\n", "No module named 'not_installed_here'"),
        ("def (\n", "SyntaxError"),
        ("1 / 0\n", "ZeroDivisionError"),
    ],
)
def test_load_of_module_that_fails_says_how(folder, source, words):
    (folder / "space_broken.py").write_text(source)
    assert words in refusal("space_broken")


@pytest.mark.parametrize(
    "source",
    [
        "import keras\n",
        "from tensorflow.keras import layers\n",
        "import jax.numpy as jnp\n",
        "try:\n    import torch\nexcept ImportError:\n    torch = None\n",
    ],
)
def test_load_of_module_with_framework_is_refused(folder, source):
    (folder / "space_heavy.py").write_text(source + WHOLE)
    message = refusal("space_heavy")
    assert "at module level" in message
    assert "move the import inside build" in message
    assert refusal("space_heavy") == message  # not taken from sys.modules the second time


def test_load_of_module_whose_own_import_has_framework_is_refused(folder):
    (folder / "layers_heavy.py").write_text("import keras\n")
    (folder / "space_indirect.py").write_text("import layers_heavy\n" + WHOLE)
    assert "imports keras at module level" in refusal("space_indirect")


def test_load_refuses_framework_that_is_imported_already(folder):
    import keras

    (folder / "space_notebook.py").write_text("from keras import layers\n" + WHOLE)
    assert "imports keras at module level" in refusal("space_notebook")
    assert sys.modules["keras"] is keras


def test_load_refuses_module_that_was_imported_with_framework(folder):
    (folder / "space_known.py").write_text("from keras import layers\n" + WHOLE)
    sys.path.insert(0, str(folder))
    import space_known

    assert "imports keras at module level" in refusal("space_known")
    assert sys.modules["space_known"] is space_known


def test_load_leaves_frameworks_importable(folder):
    (folder / "space_heavy_once.py").write_text("import keras\n" + WHOLE)
    finders = list(sys.meta_path)
    refusal("space_heavy_once")
    assert sys.meta_path == finders
