"""``python -m search COMMAND``: the program ``keras-image-search``, where its folder is not on the path."""

from search.cli.program import run_program

run_program()
