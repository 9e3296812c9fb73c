import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from search.data import open_dataset
from search.data.preparation import prepare
from search.errors import InputError

Make = Callable[..., Path]
# Half the pixels are written when it says so; the rest never will be.
HALF_WRITER = """
import sys, time
import search.data.file_source as source
from search.data.preparation import prepare
def half(paths, way, depth, out, say):
    out[: len(out) // 2] = 255
    out.flush()
    print("half", flush=True)
    time.sleep(600)
source.decode_all = half
prepare(sys.argv[1], cache=__import__("pathlib").Path(sys.argv[2]), say=lambda line: None)
"""


@contextmanager
def half_written(data: Path, cache: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HALF_WRITER, str(data), str(cache)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "half\n"
            yield writer
        finally:
            writer.kill()


def partials(cache: Path) -> list[Path]:
    return [entry for entry in (cache / "partial").iterdir() if entry.is_dir()]


def test_cache_is_found_again_without_decoding(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"a": 5, "b": 5})
    first = prepare(folder, cache=cache)
    time_of_file = (first.folder / "images.npy").stat().st_mtime_ns
    said: list[str] = []
    assert prepare(folder, cache=cache, say=said.append) == first
    assert said == [f"{folder}: a folder for each of 2 classes; 20 % are set aside as test images (--test)"]
    assert (first.folder / "images.npy").stat().st_mtime_ns == time_of_file


def test_cache_is_named_by_content(make_folder: Make, cache: Path) -> None:
    dataset = prepare(make_folder({"a": 5, "b": 5}), cache=cache)
    assert dataset.folder == cache / dataset.fingerprint
    assert len(dataset.fingerprint) == 32
    copy = shutil.copytree(cache.parent / "images", cache.parent / "copy")
    assert prepare(copy, cache=cache).folder == dataset.folder


def test_dataset_is_mapped_and_read_only(make_folder: Make, cache: Path) -> None:
    dataset = prepare(make_folder({"a": 5, "b": 5}), cache=cache)
    for array in dataset.train() + dataset.test():
        assert isinstance(array, np.memmap)
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_open_dataset_gives_what_prepare_gave(make_folder: Make, cache: Path) -> None:
    dataset = prepare(make_folder({"a": 5, "b": 5}), cache=cache)
    assert open_dataset(dataset.folder) == dataset
    json.dumps(dataset.preprocessing)


def test_prepared_images_stay_where_they_were_named_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study stored ``cache/...``, and nobody found that after ``os.chdir``."""
    monkeypatch.chdir(tmp_path)
    assert prepare("digits", cache=Path("cache")).folder.parent == tmp_path / "cache"


def test_open_dataset_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no prepared images in .*run again with --data"):
        open_dataset(tmp_path / "gone")


@pytest.mark.parametrize("harm", ["removed", "replaced", "unreadable"])
def test_search_needs_no_sealed_folder(make_folder: Make, cache: Path, harm: str) -> None:
    folder = make_folder({"a": 5, "b": 5})
    dataset = prepare(folder, cache=cache)
    sealed = dataset.folder / "sealed"
    if harm == "unreadable":
        if os.geteuid() == 0:
            sealed.rename(cache / "elsewhere")  # root reads everything: a link to nowhere stands in
            sealed.symlink_to(cache / "nowhere")
        else:
            sealed.chmod(0)
    else:
        shutil.rmtree(sealed)
        if harm == "replaced":
            sealed.write_text("no folder: whatever is opened inside is an error")
    try:
        assert prepare(folder, cache=cache) == dataset
        assert open_dataset(dataset.folder).train()[0].shape == (8, 10, 12, 3)
        with pytest.raises(InputError, match=r"prepared test images .* cannot be opened"):
            dataset.test()
    finally:
        if harm == "unreadable" and not sealed.is_symlink():
            sealed.chmod(0o700)


@pytest.mark.parametrize("part", ["training", "test"])
def test_images_of_no_bytes_are_refused_in_words(make_folder: Make, cache: Path, part: str) -> None:
    """NumPy raises EOFError of an empty file, which was shown as a fault of this program."""
    dataset = prepare(make_folder({"a": 5, "b": 5}), cache=cache)
    folder = dataset.folder / "sealed" if part == "test" else dataset.folder
    (folder / "images.npy").write_bytes(b"")
    with pytest.raises(
        InputError, match=rf"prepared {part} images .* cannot be opened .*prepare the data again"
    ):
        dataset.test() if part == "test" else dataset.train()


def test_half_written_cache_is_never_used_and_removed(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"a": 5, "b": 5})
    with half_written(folder, cache) as writer:
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
    assert (partials(cache)[0] / "images.npy").exists()
    assert not list((cache / "requests").iterdir())
    dataset = prepare(folder, cache=cache)
    assert dataset.train()[0].mean() < 200
    assert partials(cache) == []


def test_half_written_cache_is_removed_when_other_data_is_prepared(make_folder: Make, cache: Path) -> None:
    with half_written(make_folder({"a": 5, "b": 5}), cache):
        pass
    assert len(partials(cache)) == 1
    prepare(make_folder({"a": 4, "b": 4}, name="other"), cache=cache)
    assert partials(cache) == []


def test_cache_that_another_process_writes_is_left_alone(make_folder: Make, cache: Path) -> None:
    with half_written(make_folder({"a": 5, "b": 5}), cache):
        prepare(make_folder({"a": 4, "b": 4}, name="other"), cache=cache)
        assert len(partials(cache)) == 1


def test_two_processes_prepare_the_same_once(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"a": 30, "b": 30})
    code = (
        "import sys; from pathlib import Path; from search.data.preparation import prepare\n"
        "print(prepare(sys.argv[1], cache=Path(sys.argv[2])).fingerprint)"
    )
    command = [sys.executable, "-c", code, str(folder), str(cache)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said[0].splitlines()[-1] == said[1].splitlines()[-1]
    assert sum("prepared 48 training" in text for text in said) == 1


@pytest.mark.parametrize("file", ["images.npy", "labels.npy", "meta.json"])
def test_cache_that_lost_a_file_is_made_anew(make_folder: Make, cache: Path, file: str) -> None:
    folder = make_folder({"a": 5, "b": 5})
    dataset = prepare(folder, cache=cache)
    (dataset.folder / file).unlink()
    assert prepare(folder, cache=cache) == dataset
    assert dataset.train()[0].shape == (8, 10, 12, 3)


@pytest.mark.parametrize("meta", ["", "[]", '{"classes": null}', '{"classes": ["a", "b"]}'])
def test_cache_with_spoilt_description_is_made_anew(make_folder: Make, cache: Path, meta: str) -> None:
    folder = make_folder({"a": 5, "b": 5})
    dataset = prepare(folder, cache=cache)
    (dataset.folder / "meta.json").write_text(meta)
    assert prepare(folder, cache=cache) == dataset


def test_cache_with_spoilt_request_is_made_anew(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"a": 5, "b": 5})
    dataset = prepare(folder, cache=cache)
    (request,) = (cache / "requests").iterdir()
    request.write_text('{"fingerp')
    assert prepare(folder, cache=cache) == dataset


def test_missing_test_split_is_given_back_by_new_preparation(make_folder: Make, cache: Path) -> None:
    folder = make_folder({"a": 5, "b": 5})
    dataset = prepare(folder, cache=cache)
    shutil.rmtree(dataset.folder / "sealed")
    shutil.rmtree(cache / "requests")
    prepare(folder, cache=cache)
    assert dataset.test()[0].shape == (2, 10, 12, 3)


def test_cache_too_large_for_the_disk(
    make_folder: Make, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    mend = r"need 3\.6 kB, but .* has 1 B free: free some space, or name a larger disk by --cache or XDG_CACHE_HOME"
    with pytest.raises(InputError, match=f"{mend}, or pass a smaller --image-size"):
        prepare(make_folder({"a": 5, "b": 5}), cache=cache)
