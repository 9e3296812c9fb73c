"""The report of a study written to one file."""

from dataclasses import replace
from pathlib import Path

from search.config.arguments import arguments_of
from search.config.settings import ReportOptions
from search.errors import InputError
from search.reporting.elements import MARK
from search.reporting.export_reader import find_export
from search.reporting.facts import read_facts
from search.reporting.page import write_page
from search.study.finding import load_study
from storage.atomic import atomic_write
from storage.errors import DatabaseGone

# At the start of a file, in which every report says that it is one.
HEAD_BYTES = 2000


def write_report(options: ReportOptions) -> Path:
    """Write the report of a study as far as it has run. The study is only read, and the test images are not opened.

    Returns:
        The file.

    Raises:
        InputError: No such study, no such export, or a file that cannot be written.
    """
    study = options.study
    target = check_out(options.out or Path(f"exports/{study}.html"))
    try:
        loaded = load_study(study, options.storage, options.root)
        # One try: whoever asks for a report is told at once what is wrong.
        loaded.storage.retrying.set_deadline(0)
        facts = loaded.storage.retrying.call(lambda _: read_facts(loaded))
    except DatabaseGone as gone:
        raise InputError(f"--storage: {gone}; try again") from None
    exported, why_no_export = find_export(options.export, loaded.config, facts.trials, loaded.paths.uid)
    page = write_page(replace(facts, exported=exported), why_no_export)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as aside:
            # File names may hold anything, half a character too.
            aside.write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise InputError(
            f"--out {target}: cannot be written ({error.strerror or error}); name another file"
        ) from None
    return target


def check_out(out: Path) -> Path:
    """Check that a report may be written to ``out``; nothing is written yet.

    Raises:
        InputError: It is a folder, or a file that is no report.
    """
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


# As notebooks and scripts call it, with an argument for each option.
report_study = arguments_of("report_study", ReportOptions, write_report)
