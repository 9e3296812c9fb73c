"""``python -m search.report``: a study in one HTML file, which opens anywhere without a network."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from search.command import main, make_app
from search.config import check_study_name
from search.errors import InputError
from search.flags import Storage, Studies, Study, flag

HEAD_BYTES = 2000


def report_study(
    study: str,
    *,
    export: Path | None = None,
    out: Path | None = None,
    storage: str | None = None,
    root: Path = Path("studies"),
) -> Path:
    """Write the report of a study, as far as it is; the study is only read, and the test images are not opened.

    Args:
        study: Its name.
        export: Folder of its export, from which all comes that is said of the test images; by default
            ``exports/<study>``, where there is one.
        out: The file, new or an earlier report; by default ``exports/<study>.html``.
        storage: Database URL; by default the environment's ``SEARCH_STORAGE``, or SQLite under ``root``.
        root: The folder of all studies.

    Returns:
        The file.

    Raises:
        InputError: No such study, no such export, or a file that cannot be written.
    """
    check_study_name(study)
    target = check_out(out or Path("exports") / f"{study}.html")
    from search.reporting.exported import find_export
    from search.reporting.page import write_page
    from search.reporting.study import read_facts
    from search.study import load_study
    from storage.errors import DatabaseGone

    try:
        loaded = load_study(study, storage, root)
        loaded.storage.retrying.hurry(0)  # One try: who asks for a report is told at once what is wrong.
        facts = loaded.storage.retrying.call(lambda _: read_facts(loaded))
    except DatabaseGone as gone:
        raise InputError(f"--storage: {gone}; try again") from None
    exported, why_none = find_export(export, loaded.config, facts.trials)
    write_aside(target, write_page(replace(facts, exported=exported), why_none))
    return target


def write_aside(target: Path, text: str) -> None:
    """Write the file beside its place and rename it: whoever has it open sees the old or the new one, whole.

    Raises:
        InputError: It cannot be written.
    """
    aside = target.with_name(f".{target.name}.new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Of file names anything may come, half a character too.
        aside.write_text(text, encoding="utf-8", errors="backslashreplace")
        aside.replace(target)
    except OSError as error:
        raise InputError(
            f"--out {target}: cannot be written ({error.strerror or error}); name another file"
        ) from None
    finally:
        with suppress(OSError):  # Where there is no such place there is nothing left, either.
            aside.unlink(missing_ok=True)


def check_out(out: Path) -> Path:
    """The file that a report may be written to; nothing is written yet.

    Raises:
        InputError: It is a folder, or a file that is no report.
    """
    from search.reporting.blocks import MARK

    if out.is_dir():
        raise InputError(f"--out {out}: is a folder; expected a file, such as {out / 'report.html'}")
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out {out}: expected a name that ends in .html, such as report.html")
    try:
        with out.open("rb") as file:
            if MARK.encode() not in file.read(HEAD_BYTES):
                raise InputError(f"--out {out}: is no report, and would be lost; name another file")
    except FileNotFoundError:
        pass
    except OSError as error:
        raise InputError(f"--out {out}: {error.strerror or error}; name another file") from None
    return out


def report(
    study: Study,
    export: Annotated[
        Path | None,
        flag(
            "--export", metavar="FOLDER", help="The study's export (default: exports/STUDY, if it is there)."
        ),
    ] = None,
    out: Annotated[
        Path | None, flag("--out", metavar="FILE.html", help="The report (default: exports/STUDY.html).")
    ] = None,
    storage: Storage = None,
    root: Studies = Path("studies"),
) -> None:
    """Write a study's report: one HTML file with figures, pictures and how to repeat it, readable without a network.

    All that it says of the test images comes from the export's folder; without one it shows the search alone.
    """
    target = report_study(study, export=export, out=out, storage=storage, root=root)
    print(f"report written to {target} ({target.stat().st_size / 1e6:.1f} MB)")


app = make_app(
    report,
    example="""
python -m search.report --study cifar_cnn
python -m search.report --study cifar_cnn --export exports/final --out report.html
""",
)

if __name__ == "__main__":
    main(app)
