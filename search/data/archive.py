"""A zip or tar of images: unpacked once into the cache, and a folder like any other from then on.

An archive comes from anywhere, so nothing in it may do harm: no file is written outside its own folder, no link leads
out of it, and what would not fit on the disk is refused before it is unpacked, by the sizes that the archive states
(neither format can hold more of a file than it states).
"""

import hashlib
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Set
from pathlib import Path, PurePosixPath
from typing import NoReturn

from search.data.base import Say
from search.data.cache import sole_writer
from search.data.disk_space import lack_of_room
from search.errors import InputError, first_line

ZIP = (".zip",)
TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
# What is read at once behind the last file of a tar.
BLOCK = 1 << 20
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    KeyError,  # A tar's hard link to a file that it does not hold.
    OSError,
)


def is_archive(path: Path) -> bool:
    """Whether a file is an archive that ``unpack`` takes, by its name."""
    return path.name.lower().endswith(ZIP + TAR)


def unpack(path: Path, cache: Path, say: Say) -> Path:
    """Unpack an archive into the cache, unless it is there already.

    Args:
        path: The archive. One of another size or time of change is another archive.
        cache: The folder of prepared images.
        say: Takes lines for people.

    Returns:
        The folder that it was unpacked into.

    Raises:
        InputError: It is damaged, encrypted, too large for the disk, or holds what leads out of its folder.
    """
    status = path.stat()
    digest = hashlib.sha256(
        f"{path} {status.st_size} {status.st_mtime_ns}".encode("utf-8", "surrogateescape")
    )
    folder = cache / "archives" / f"{path.name[:50]}-{digest.hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    with sole_writer(cache, folder.name, say):
        if not folder.is_dir():  # Another process may have unpacked it meanwhile.
            say(f"unpacking {path} into {folder}")
            partial = cache / "partial" / folder.name
            try:
                partial.mkdir(parents=True)
                _unpack(path, partial)
                folder.parent.mkdir(exist_ok=True)
                partial.rename(folder)
            except DAMAGE as error:
                _refuse(path, partial, error)
    return folder


def _unpack(path: Path, folder: Path) -> None:
    if path.name.lower().endswith(ZIP):
        _unpack_zip(path, folder)
    else:
        _unpack_tar(path, folder)


def _unpack_zip(path: Path, folder: Path) -> None:
    with _open_zip(path) as archive:
        members = [member for member in archive.infolist() if not _is_left_by_mac(member.filename)]
        files: set[PurePosixPath] = set()
        for member in members:
            member.filename = member.filename.replace("\\", "/")  # Some programs for Windows write them so.
            inside = PurePosixPath(member.filename)
            if inside.is_absolute() or ".." in inside.parts:
                raise InputError(
                    f"--data {path}: holds {member.filename!r}, which leads out of the archive: not unpacked; make the "
                    "archive again of a folder"
                )
            if stat.S_ISLNK(member.external_attr >> 16):
                raise InputError(
                    f"--data {path}: holds {member.filename!r}, a link, whose files would be missing: not unpacked; "
                    "make the archive again with what it leads to, or unpack it yourself and pass the folder"
                )
            _refuse_twice(path, member.filename, files)
            if not member.is_dir():
                files.add(inside)
            if member.flag_bits & 1:
                raise InputError(f"--data {path}: is encrypted; unpack it and pass the folder")
        _check_room(path, folder, (member.file_size for member in members))
        archive.extractall(folder, members)


def _open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip. Names of letters outside ASCII are UTF-8 in many that do not say so, such as a Mac's.

    Others are in the writing of a country, which no zip names: what is Chinese would be read as box drawings.
    """
    try:
        return zipfile.ZipFile(path, metadata_encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"--data {path}: holds names that are neither ASCII nor UTF-8, such as {error.object!r:.80}, and says not "
            "what they are: not unpacked; unpack it yourself and pass the folder"
        ) from None


def _unpack_tar(path: Path, folder: Path) -> None:
    with tarfile.open(path) as archive:
        _check_room(path, folder, (member.size for member in archive))
        _check_end(archive)
        members = [member for member in archive.getmembers() if not _is_left_by_mac(member.name)]
        files: set[PurePosixPath] = set()
        for member in members:
            _refuse_twice(path, member.name, files)
            if not member.isdir():
                files.add(PurePosixPath(member.name))
        for member in members:
            archive.extract(member, folder, filter="data")


def _check_end(archive: tarfile.TarFile) -> None:
    """Refuse a tar behind whose last file there is anything but the zeros that end it.

    Python takes a damaged header, and an end that is missing, for the end: all files behind it would be missing without
    a word. That of a packed tar is read to its last byte, so that its checksum is looked at as well.

    Raises:
        tarfile.ReadError: There is something else, or nothing.
    """
    file = archive.fileobj
    assert file is not None  # It is open.
    file.seek(archive.offset)
    ended = False
    while part := file.read(BLOCK):
        ended = True
        if part.strip(b"\0"):
            raise tarfile.ReadError("there is more behind what seems to be its end")
    if not ended:
        raise tarfile.ReadError("its end is missing")


def _refuse_twice(path: Path, name: str, files: Set[PurePosixPath]) -> None:
    """Refuse a second file of one name, which would take the first one's place."""
    if PurePosixPath(name) in files:
        raise InputError(
            f"--data {path}: holds {name!r} twice, of which one would be lost: not unpacked; make the archive again of "
            "a folder"
        )


def _is_left_by_mac(name: str) -> bool:
    """Whether a file is one of those that a Mac adds to an archive for itself."""
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or bool(parts and parts[-1].startswith("._"))


def _check_room(path: Path, folder: Path, sizes: Iterator[int]) -> None:
    total = 0
    # Of a packed tar each size takes unpacking up to there: the first that is too much ends it.
    for size in sizes:
        total += size
        if lack := lack_of_room(folder, total, f"the files in {path}"):
            raise InputError(f"--data {path}: {lack}")


def _refuse(path: Path, partial: Path, error: Exception) -> NoReturn:
    if isinstance(error, tarfile.FilterError):
        what = (
            f"holds {error.tarinfo.name!r}, which leads out of the archive or is no plain file: not unpacked"
        )
        raise InputError(f"--data {path}: {what}; make the archive again of a folder") from error
    if isinstance(error, OSError) and error.errno is not None:
        raise InputError(
            f"--data {path}: cannot be unpacked into {partial} ({error.strerror}); mend that, or unpack it yourself "
            "and pass the folder"
        ) from error
    kind = "zip" if path.name.lower().endswith(ZIP) else "tar"
    reason = first_line(error).rstrip(":- ")
    raise InputError(
        f"--data {path}: damaged, or no {kind} ({reason}); copy or download it again, or unpack it yourself and pass "
        "the folder"
    ) from error
