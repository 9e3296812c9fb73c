"""The command: what it refuses, in one line, and that it needs no database."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from search.cli.app import main
from search.demo import app
from search.exporting.export import Export

ROOT = Path(__file__).parents[2]
# Says at its end which modules the process has loaded that serves.
CODE = """
import sys
from search.cli.app import main
from search.demo import app
try:
    main(app)
finally:
    print("LOADED", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), "Missing option '--model'"),
        (("--model", "nowhere"), "--model nowhere: no such folder"),
        (("--model", "empty"), "is no export"),
        (("--model", "whole", "--port", "70000"), "expected a number from 0 to 65535"),
        (("--model", "whole", "--unsure", "60"), "--unsure 60.0: expected a number from 0 to 1"),
        (("--model", "whole", "--unsure", "much"), "'much' is no number"),
        (("--model", "whole", "--host", "0.0.0.0"), "could use the model; pass --password-file"),
        (("--model", "whole", "--password-file", "/nowhere"), "--password-file /nowhere: cannot be read"),
        (("--model", "spoilt"), "its examples.npz is spoilt"),
    ],
)
def test_wrong_input_is_one_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    given: tuple[str, ...],
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    for name in ("whole", "spoilt"):
        Path(name).mkdir()
        Path(name, "model.keras").touch()
        Path(name, "labels.json").write_text('["a", "b"]')
        Path(name, "preprocessing.json").write_text('{"height": 8, "width": 8, "channels": 1}')
        Path(name, "summary.json").write_text("{}")
    Path("spoilt", "examples.npz").write_bytes(b"PK no examples")
    with pytest.raises(SystemExit) as ended:
        main(app, given)
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert expected in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.slow
def test_model_answers_and_ctrl_c_ends_it(made: Export, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, "--model", str(made.folder), "--port", "0"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)}
    served = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert served.stdout is not None
    try:
        assert served.stdout.readline() == f"loading {made.folder}\n"
        address = re.fullmatch(r"(http://127.0.0.1:\d+/)\n", served.stdout.readline())
        assert address is not None
        picture = (made.folder / "samples.png").read_bytes()
        with urllib.request.urlopen(f"{address[1]}predict", picture, timeout=60) as answer:
            assert json.load(answer)["class"] in made.labels
    finally:
        served.send_signal(signal.SIGINT)
        printed, errors = served.communicate(timeout=60)
    assert (served.returncode, errors) == (130, "")
    loaded = set(printed.rpartition("LOADED")[2].split())
    assert not loaded & {"optuna", "sqlalchemy", "tensorflow", "keras"}
