"""Options that commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

Command = Callable[..., Any]
# As of fastparadime.utils.tables, which is not imported for `--help`.
_MISSING = ("mean", "median", "most_frequent")
_SCALES = ("standard", "robust", "none")


def as_sample(_: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A number of rows, or a share of them with a point in it."""
    if value is None:
        return None
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is neither a number of rows nor a share such as 0.1", param=param
        ) from None


def _all(options: Sequence[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    def decorated(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorated


seed = click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    help="For the same result again; drawn and reported if not given.",
)
device = click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
quiet = click.option("--quiet", is_flag=True, help="No progress.")

# How the file is read.
reading = _all(
    [
        click.option(
            "--header/--no-header",
            default=None,
            help="Whether a text file has names of columns; found out if not given.",
        ),
        click.option("--encoding", default="utf-8", show_default=True, help="Of a text file."),
        click.option("--layer", help="Of an .h5ad file, instead of its X."),
        click.option("--obsm", help="Of an .h5ad file, instead of its X, such as X_pca."),
    ]
)

# Columns that are no features.
beside = _all(
    [
        click.option("--label-column", metavar="NAME", help="Colours the map."),
        click.option("--id-column", metavar="NAME", help="Names of rows, written beside them."),
        click.option(
            "--labels", metavar="LABELS", help="A file of labels alone, instead of --label-column."
        ),
    ]
)

# What becomes of columns.
features = _all(
    [
        click.option(
            "--columns",
            multiple=True,
            metavar="NAMES",
            help="The features, with commas or as patterns; all columns of numbers otherwise.",
        ),
        click.option("--drop", multiple=True, metavar="NAMES", help="Columns to leave out."),
        click.option("--vector", metavar="NAME", help="The column whose lists are the features."),
        click.option(
            "--categories",
            multiple=True,
            metavar="NAMES",
            help="Columns of which features of 0 and 1 are made.",
        ),
        click.option(
            "--missing", type=click.Choice(_MISSING), help="Fills cells without a value in."
        ),
        click.option(
            "--scale", type=click.Choice(_SCALES), default="none", show_default=True,
            help="How columns of numbers are scaled.",
        ),
    ]
)  # fmt: skip

results = _all(
    [
        click.option(
            "-o",
            "--output",
            metavar="Y.npy",
            help="Where the embedding goes: .npy, .csv, .tsv, .parquet, .feather; - is stdout.",
        ),
        click.option("--plot", metavar="MAP.png", help="Draw the embedding too."),
        click.option("--html", metavar="MAP.html", help="A page to move about in and to send on."),
    ]
)
