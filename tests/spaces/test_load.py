import importlib
import sys
import threading
import time

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


def test_load_of_file_in_another_folder(folder):
    (folder / "mine").mkdir()
    (folder / "mine" / "space_by_path.py").write_text(WHOLE)
    assert spaces.load("mine/space_by_path.py").__name__ == "space_by_path"
    assert spaces.load(str(folder / "mine" / "space_by_path.py")) is spaces.load("space_by_path")


def test_load_of_file_that_lies_elsewhere_here_takes_the_module_of_its_name(folder):
    (folder / "space_moved.py").write_text(WHOLE)
    assert spaces.load("/on/another/host/space_moved.py").__name__ == "space_moved"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no_such_space.py", "no such file; expected one of cnn, "),
        ("my-space.py", "'my-space' is no name of a module"),
        ("mine/json.py", "Python finds another json first"),
        ("~nobodyx/space.py", "begins with the home of no user of this host"),
    ],
)
def test_load_of_file_that_cannot_be_a_space_says_why(folder, name, why):
    (folder / "mine").mkdir()
    for file in ("my-space.py", "mine/json.py"):
        (folder / file).write_text(WHOLE)
    assert why in refusal(name)


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


def test_load_of_module_that_ends_the_process_says_so(folder):
    (folder / "space_script.py").write_text(WHOLE + "raise SystemExit(3)\n")
    assert "SystemExit: 3" in refusal("space_script")


def test_load_of_module_that_prints_is_no_refusal(folder, capfd):
    (folder / "space_loud.py").write_text("print('keras')\n" + WHOLE)
    spaces.load("space_loud")
    assert capfd.readouterr().out == "keras\n"


def test_load_changes_nothing_that_other_threads_import_by(folder):
    """With another thread importing Keras, 6 of 11,515 loads failed, and ended the search."""
    import keras

    for number in range(3):
        (folder / f"space_threads{number}.py").write_text(("import keras\n" if number == 2 else "") + WHOLE)
    finders, seen, over = list(sys.meta_path), [], threading.Event()

    def imports() -> None:
        while not over.is_set():
            seen.append(sys.meta_path == finders and sys.modules.get("keras") is keras)
            importlib.import_module("keras.layers")

    thread = threading.Thread(target=imports)
    thread.start()
    try:
        for name in ("space_threads0", "space_threads1", *["space_threads0"] * 2000, "cnn"):
            spaces.load(name)
        refusal("space_threads2")
    finally:
        over.set()
        thread.join()
    assert all(seen)
    assert len(seen) > 100


def test_load_checks_a_module_once_a_process(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(spaces, "framework_of", lambda path: asked.append(path) or "")
    (folder / "space_once.py").write_text(WHOLE)
    first = spaces.load("space_once")
    assert spaces.load("space_once") is first
    spaces.load("cnn")
    assert asked == ["space_once"]
    importlib.reload(first)
    spaces.load("space_once")
    assert asked == ["space_once"] * 2


def test_code_of_registered_space_is_its_version():
    assert spaces.code_of(spaces.load("cnn")) == f"version {spaces.load('cnn').VERSION}"


def test_code_is_that_of_the_module_in_memory_until_it_is_reloaded(folder):
    file = folder / "space_edited.py"
    file.write_text(WHOLE)
    space = spaces.load("space_edited")
    before = spaces.code_of(space)
    file.write_text(WHOLE + "width = 3\n")
    assert spaces.code_of(spaces.load("space_edited")) == before
    importlib.reload(space)
    assert spaces.code_of(spaces.load("space_edited")) != before


def test_load_as_takes_the_same_code_and_refuses_other(folder, monkeypatch):
    monkeypatch.setattr(spaces, "SAVING_SECONDS", 0.1)
    file = folder / "space_child.py"
    file.write_text(WHOLE)
    code = spaces.code_of(spaces.load("space_child"))
    del sys.modules["space_child"]
    file.write_text("# A comment is no code.\n" + WHOLE)
    assert spaces.load_as("space_child", code).__name__ == "space_child"
    del sys.modules["space_child"]
    file.write_text(WHOLE.replace("build(*given)", "build(*got)"))
    with pytest.raises(spaces.SpaceChanged, match=r"^space space_child: its code has been changed since"):
        spaces.load_as("space_child", code)
    assert "space_child" not in sys.modules


@pytest.mark.parametrize("half", ["", "def sample(*gi", WHOLE[:40]], ids=["empty", "no syntax", "fewer"])
def test_load_as_waits_for_a_file_that_is_being_saved(folder, half):
    file = folder / "space_saving.py"
    file.write_text(WHOLE)
    code = spaces.code_of(spaces.load("space_saving"))
    del sys.modules["space_saving"]
    file.write_text(half)
    threading.Timer(0.3, file.write_text, [WHOLE + "\n"]).start()
    before = time.monotonic()
    assert spaces.load_as("space_saving", code).build.__name__ == "build"
    assert time.monotonic() - before < spaces.SAVING_SECONDS + 1


def test_files_of_a_loaded_space_are_compared_with_what_was_read(folder, monkeypatch):
    monkeypatch.setattr(spaces, "SAVING_SECONDS", 0.1)
    file = folder / "space_watched.py"
    file.write_text(WHOLE)
    space = spaces.load("space_watched")
    spaces.check_as_read(space)
    file.unlink()
    with pytest.raises(spaces.SpaceChanged):
        spaces.check_as_read(space)
