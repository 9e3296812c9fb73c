"""``python -m search.report``: a study in one HTML file, which opens anywhere without a network."""

from pathlib import Path
from typing import Annotated

from search.cli.app import main, make_app
from search.cli.options import Storage, Studies, Study, flag


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
    from search.reporting.report import report_study

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
