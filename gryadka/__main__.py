"""`python -m gryadka`: the same as the command `gryadka`."""

from gryadka.cli import app

app(prog_name="gryadka")
