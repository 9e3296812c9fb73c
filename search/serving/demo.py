"""An export served for people to try in a browser, and for programs, behind the guard."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from search.config.option import check_number
from search.data.examples import read_examples
from search.prediction.loader import read_export, read_temperature
from search.process.choice import check_backend
from search.process.fork_server import ForkServer
from search.serving.answering import Answerer
from search.serving.application import MOST_BYTES, DemoApplication, Served
from search.web.guard import Guard, Rules
from search.web.listening import check_address, listen, names_of, serve

# Each waits for the answer about one picture.
THREADS = 16
UNSURE = 0.6


def serve_demo(
    model: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    password_file: Path | None = None,
    unsure: float = UNSURE,
    say: Callable[[str], None] = print,
) -> None:
    """Serve an export until Ctrl-C or SIGTERM.

    Args:
        model: The folder of the export.
        host: The address to listen on.
        port: The port; 0 for any that is free.
        password_file: A file whose first line a browser must give; needed for any address but this host's own.
        unsure: The confidence, 0 to 1, below which an answer is called unsure.
        say: Gets lines for a person.

    Raises:
        InputError: ``model`` is no export, the address cannot be listened on, or a password is needed and missing.
        StudyStopped: The model's process ended before it had loaded it.
    """
    check_number("--unsure", unsure, 0, 1)
    served = read_served(model, unsure)
    password = check_address(host, port, password_file, "use the model")
    with (
        tempfile.TemporaryDirectory(prefix="search-demo-", ignore_cleanup_errors=True) as place,
        ForkServer(check_backend(None)) as starter,
    ):
        folder = Path(place)
        asked: list[Answerer] = []
        application = DemoApplication(served, lambda file: asked[0].ask(file), folder)
        rules = Rules(names_of(host), password, allow_changes=True, most_bytes=MOST_BYTES)
        # Before the model is loaded for seconds: an address that is taken is refused at once.
        server = listen(Guard(application, rules), host, port, THREADS, MOST_BYTES)
        say(f"loading {model}")
        asked.append(Answerer(model, starter, folder / "log.txt"))
        serve(server, host, "/", say)


def read_served(model: Path, unsure: float) -> Served:
    """Read from an export all that its page says of it.

    Raises:
        InputError: It is no export, or is spoilt.
    """
    labels, shape = read_export(model)
    read_temperature(model)  # Refuses a summary that is spoilt, here rather than in the child.
    words = json.loads((model / "summary.json").read_text(encoding="utf-8")).get("words")
    colours = "grey" if shape.channels == 1 else "colour"
    return Served(
        name=model.resolve().name,
        labels=labels,
        size=f"{shape.width}x{shape.height} pixels, {colours}",
        tested=str(words[0]) if words else "",
        unsure=unsure,
        examples=read_examples(model, len(labels)),
    )
