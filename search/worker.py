"""``python -m search.worker``: join a study from anywhere that reaches its database."""

import typer

from search.cli.app import main, make_app
from search.cli.options import flags_of
from search.cli.verbosity import print_result
from search.config.settings import WorkerOptions


@flags_of(WorkerOptions)
def worker(options: WorkerOptions) -> None:
    """Join a study from anywhere that reaches its database; all else is read from the study.

    Come and go at will: Ctrl-C or SIGTERM gives the running trial back, and whoever is left goes on with it.
    """
    from search.workflows.join import join

    if stopped := join(options):
        print_result(f"{stopped}: nothing is lost, the other workers go on; join again with the same command")
        raise typer.Exit(130)
    print_result(f"study {options.study} has all its trials")


app = make_app(
    worker,
    chatty=True,
    example="""
python -m search.worker --study cifar_cnn --storage postgresql://me@db.example.org/search
python -m search.worker --study flowers --storage postgresql://me@db/search --data /mnt/photos --gpus all
""",
)

if __name__ == "__main__":
    main(app)
