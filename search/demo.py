"""``python -m search.demo``: an exported model, to be tried in a browser or asked by programs."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.app import main, make_app
from search.cli.options import Host, PasswordFile, Port
from search.cli.parsing import number, required_place


def demo(
    model: Annotated[
        Path,
        typer.Option(
            "--model", metavar="EXPORT_FOLDER", help="What search.export made.", parser=required_place
        ),
    ],
    port: Port = 8000,
    host: Host = "127.0.0.1",
    password_file: PasswordFile = None,
    unsure: Annotated[
        float,
        typer.Option(
            "--unsure",
            metavar="CONFIDENCE",
            help="Call answers of less confidence, 0 to 1, unsure.",
            parser=number,
        ),
    ] = 0.6,
) -> None:
    """Try an exported model in a browser, on this host alone, until Ctrl-C: drop, paste or choose pictures or a folder.

    Programs ask it by POST /predict, with the bytes of a picture as the body, and get JSON.

    An export made with --with-examples also shows the most alike training pictures.
    """
    from search.serving.demo import serve_demo

    serve_demo(
        model,
        host=host,
        port=port,
        password_file=password_file,
        unsure=unsure,
        say=lambda line: print(line, flush=True),
    )
    raise typer.Exit(130)


app = make_app(
    demo,
    example="""
python -m search.demo --model exports/cifar_cnn
curl --data-binary @photo.jpg http://127.0.0.1:8000/predict
""",
)

if __name__ == "__main__":
    main(app)
