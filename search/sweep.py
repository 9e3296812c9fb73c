"""``python -m search.sweep``: every combination of given values once, or several times, and what they come to."""

import typer

from search.cli.app import main, make_app
from search.cli.options import flags_of
from search.cli.verbosity import print_result
from search.config.settings import SweepOptions


@flags_of(SweepOptions)
def sweep(options: SweepOptions) -> None:
    """Train every combination of given values exactly once, or --repeat times, and say whether they differ.

    It exits with 1 where a run has failed, or was not reached.

    The same command goes on where it was stopped; with longer lists it adds what is new.
    """
    from search.workflows.sentences import has_all_trials
    from search.workflows.sweep import sweep_and_report

    result = sweep_and_report(options)
    if result.summary:
        print_result(result.summary["sentence"])
        print_result(f"written to {result.folder}")
    if result.stopped:
        print_result(result.stopped)
    if result.by_user:
        raise typer.Exit(130)
    if not has_all_trials(result.study):
        raise typer.Exit(1)


app = make_app(
    sweep,
    chatty=True,
    example="""
python -m search.sweep --study cifar_filters
python -m search.sweep --study widths --data photos/ --base three-layers --vary filters=16,32,64 --repeat 3
python -m search.sweep --study around --data digits --base study:digits_cnn --vary dense_width=32,64
""",
)

if __name__ == "__main__":
    main(app)
