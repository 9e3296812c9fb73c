"""``python -m search.report``: a study in one HTML file, which opens anywhere without a network."""

from search.cli.app import main, make_app
from search.cli.options import flags_of
from search.config.settings import ReportOptions


@flags_of(ReportOptions)
def report(options: ReportOptions) -> None:
    """Write a study's report: one HTML file with figures, pictures and how to repeat it, readable without a network.

    All that it says of the test images comes from the export's folder; without one it shows the search alone.
    """
    from search.reporting.report import write_report

    target = write_report(options)
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
