"""Archives: unpacked once, into their own folder and nowhere else, and refused in one line where that cannot be."""

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from search.data.archive import is_archive, unpack
from search.errors import InputError

Make = Callable[..., Path]


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


def refused(path: Path, cache: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        unpack(path, cache, lambda line: None)
    assert "\n" not in str(caught.value)
    assert not list(cache.glob("archives/*"))
    assert not [entry for entry in cache.glob("partial/*") if entry.is_dir()]


def test_archives_are_known_by_their_endings() -> None:
    names = ["a.zip", "A.ZIP", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"]
    assert all(is_archive(Path(name)) for name in names)
    assert not any(is_archive(Path(name)) for name in ["a.npz", "a.gz", "a.csv", "zip", "a.rar"])


def test_archive_is_unpacked_once_and_again_when_it_has_changed(tmp_path: Path, cache: Path) -> None:
    said: list[str] = []
    path = zipped(
        tmp_path / "photos.zip", {"cat/1.png": b"1", "__MACOSX/cat/._1.png": b"", "cat/._1.png": b""}
    )
    folder = unpack(path, cache, said.append)
    assert [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()] == [
        "cat/1.png"
    ]
    assert unpack(path, cache, said.append) == folder
    assert len(said) == 1
    os.utime(path, (1, 1))
    assert unpack(path, cache, said.append) != folder


def test_archive_of_a_long_name_is_unpacked(tmp_path: Path, cache: Path) -> None:
    path = zipped(tmp_path / f"{'n' * 250}.zip", {"a/1.png": b"x"})
    assert (unpack(path, cache, lambda line: None) / "a/1.png").is_file()


@pytest.mark.parametrize("name", ["photos.tar", "photos.tar.gz", "photos.tgz"])
def test_tar_is_unpacked(tmp_path: Path, cache: Path, name: str) -> None:
    path = tarred(tmp_path / name, (tarfile.TarInfo("dog/1.png"), b"1"))
    assert (unpack(path, cache, lambda line: None) / "dog/1.png").read_bytes() == b"1"


def test_names_of_a_zip_are_read_as_their_makers_meant_them(tmp_path: Path, cache: Path) -> None:
    # As a Mac writes them, UTF-8 without saying so; and as some Windows programs do, with their own separators.
    path = zipped(tmp_path / "photos.zip", {"Kxxfer/1.png": b"1", "dog\\1.png": b"2"})
    path.write_bytes(path.read_bytes().replace(b"Kxxfer", "Käfer".encode()))
    folder = unpack(path, cache, lambda line: None)
    assert (folder / "Käfer/1.png").read_bytes() == b"1"
    assert (folder / "dog/1.png").read_bytes() == b"2"


def test_zip_whose_names_are_in_an_unknown_writing_is_refused(tmp_path: Path, cache: Path) -> None:
    path = zipped(tmp_path / "photos.zip", {"cxxx/1.png": b"1"})
    path.write_bytes(path.read_bytes().replace(b"cxxx", "猫狗".encode("gbk")))
    refused(path, cache, "neither ASCII nor UTF-8, such as .*: not unpacked; unpack it yourself and pass the")


@pytest.mark.parametrize("name", ["../out.png", "/tmp/out.png", "a/../../out.png", "..\\out.png"])
def test_zip_that_leads_out_is_refused(tmp_path: Path, cache: Path, name: str) -> None:
    refused(zipped(tmp_path / "evil.zip", {name: b"1"}), cache, "leads out of the archive: not unpacked")
    assert not list(tmp_path.rglob("out.png"))


@pytest.mark.parametrize(
    "member",
    [tarfile.TarInfo("../out.png"), link("a", "/etc"), link("a", "../.."), link("a/b", "../../x")],
    ids=["path", "link to a root", "link upwards", "link out of a folder"],
)
def test_tar_that_leads_out_is_refused(tmp_path: Path, cache: Path, member: tarfile.TarInfo) -> None:
    refused(
        tarred(tmp_path / "evil.tar", (member, b"")), cache, "leads out of the archive or is no plain file"
    )
    assert not list(tmp_path.rglob("out.png"))


def test_pipe_in_a_tar_is_refused(tmp_path: Path, cache: Path) -> None:
    member = tarfile.TarInfo("cat/pipe")
    member.type = tarfile.FIFOTYPE
    refused(
        tarred(tmp_path / "evil.tar", (member, b"")), cache, "'cat/pipe', .* is no plain file: not unpacked"
    )


def test_archive_that_states_more_than_the_disk_has_is_refused_before_it_is_unpacked(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bombs = [
        zipped(tmp_path / "bomb.zip", {f"{number}.png": bytes(1000) for number in range(10)}),
        tarred(
            tmp_path / "bomb.tgz", *((tarfile.TarInfo(f"{number}.png"), bytes(1000)) for number in range(10))
        ),
    ]
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 5000}))
    for path in bombs:
        refused(
            path,
            cache,
            rf"--data {path}: the files in .* need .*B, but .* has 5 kB free: free some space, or name a larger",
        )


@pytest.mark.parametrize("again", ["cat/1.png", "./cat/1.png", "cat\\1.png"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_that_holds_a_file_twice_is_refused(tmp_path: Path, cache: Path, again: str) -> None:
    path = zipped(tmp_path / "photos.zip", {"cat/": b"", "cat/1.png": b"1"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("cat/", b"")
        archive.writestr(again, b"2")
    refused(
        path,
        cache,
        r"holds '(\./)?cat/1.png' twice, of which one would be lost: not unpacked; make the archive",
    )


@pytest.mark.parametrize("again", ["cat/1.png", "./cat/1.png"])
def test_tar_that_holds_a_file_twice_is_refused(tmp_path: Path, cache: Path, again: str) -> None:
    folder = tarfile.TarInfo("cat")
    folder.type = tarfile.DIRTYPE
    members = [(tarfile.TarInfo("cat/1.png"), b"1"), (folder, b""), (folder, b"")]
    assert unpack(tarred(tmp_path / "once.tar", *members), tmp_path / "other", lambda line: None)
    path = tarred(tmp_path / "photos.tar", *members, (tarfile.TarInfo(again), b"2"))
    refused(path, cache, r"holds '(\./)?cat/1.png' twice, of which one would be lost: not unpacked")


def cut(content: bytes, at: int) -> bytes:
    return content[:at]


def spoil(content: bytes, at: int) -> bytes:
    return content[:at] + b"x" * 100 + content[at + 100 :]


def blank(content: bytes, at: int) -> bytes:
    return content[:at] + bytes(512) + content[at + 512 :]


def repeat(content: bytes, at: int) -> bytes:
    return content + content


@pytest.mark.parametrize("name", ["photos.tar", "photos.tgz"])
@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (cut, "its end is missing"),
        (spoil, "there is more"),
        (blank, "there is more"),
        (repeat, "there is more"),
    ],
    ids=["cut between files", "spoilt header", "header of zeros", "two behind one another"],
)
def test_tar_that_ends_before_its_last_file_is_refused(
    tmp_path: Path, cache: Path, name: str, spoilt: Callable[[bytes, int], bytes], message: str
) -> None:
    files = [(tarfile.TarInfo(f"cat/{number}.png"), b"1") for number in range(3)]
    content = spoilt(tarred(tmp_path / "whole.tar", *files).read_bytes(), 2 * 1024)
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    refused(path, cache, rf"damaged, or no tar \({message}")


def test_packed_tar_whose_checksum_is_missing_is_refused(tmp_path: Path, cache: Path) -> None:
    path = tarred(tmp_path / "photos.tgz", (tarfile.TarInfo("cat/1.png"), b"1"))
    path.write_bytes(path.read_bytes()[:-8])
    refused(path, cache, "damaged, or no tar")


def test_zip_with_a_link_is_refused(tmp_path: Path, cache: Path) -> None:
    # The file that it becomes lies beside the classes, and nobody would miss the class.
    path = zipped(tmp_path / "photos.zip", {"dog/1.png": b"1"})
    with zipfile.ZipFile(path, "a") as archive:
        member = zipfile.ZipInfo("cat")
        member.create_system, member.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "../elsewhere/cat")
    refused(path, cache, "holds 'cat', a link, whose files would be missing: not unpacked")


def test_tar_with_a_hard_link_to_nothing_is_refused(tmp_path: Path, cache: Path) -> None:
    member = link("cat/1.png", "cat/gone.png")
    member.type = tarfile.LNKTYPE
    refused(
        tarred(tmp_path / "photos.tar", (member, b"")), cache, r"damaged, or no tar \(.*gone.png.*\); copy or"
    )


def test_encrypted_zip_is_refused(tmp_path: Path, cache: Path) -> None:
    path = zipped(tmp_path / "secret.zip", {"cat/1.png": b"1"})
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    refused(path, cache, "is encrypted; unpack it and pass the folder")


@pytest.mark.parametrize("name", ["photos.zip", "photos.tar", "photos.tgz", "photos.tar.xz"])
@pytest.mark.parametrize("content", [b"", b"no archive at all, only some text"])
def test_file_that_is_no_archive_is_refused(tmp_path: Path, cache: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    refused(path, cache, r"damaged, or no (zip|tar) \(.*; copy or download it again")


def test_archive_cut_short_or_spoilt_is_refused(tmp_path: Path, cache: Path) -> None:
    whole = zipped(tmp_path / "a.zip", {"cat/1.png": os.urandom(5000)}).read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[:100] + b"\xff" * 100 + whole[200:])
    refused(tmp_path / "a.zip", cache, "damaged, or no zip")
    cut = tarred(tmp_path / "a.tgz", (tarfile.TarInfo("cat/1.png"), os.urandom(5000))).read_bytes()
    (tmp_path / "a.tgz").write_bytes(cut[:3000])
    refused(tmp_path / "a.tgz", cache, "damaged, or no tar")
