"""The command line, ``fastparadime demo | embed | apply | export | info``."""

from fastparadime.cli.commands import main

__all__ = ["main"]
