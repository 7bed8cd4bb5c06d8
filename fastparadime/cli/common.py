"""What the commands share: one-line errors, checks made before any work, outputs, the summary.

Imports nothing heavy by itself, as `fastparadime.cli` does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

from fastparadime.exceptions import CUDANotAvailableError, SpecificationError


class Commands(click.Group):
    """Ends every failure with one line and its exit code, without traceback or usage text."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the command line and exits."""
        kwargs["standalone_mode"] = False
        try:
            result = super().main(*args, **kwargs)
        except click.ClickException as error:
            _fail(error.format_message())
        sys.exit(result if isinstance(result, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the chosen command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted", err=True)
            sys.exit(130)
        except BrokenPipeError:  # click ends quietly when nobody reads the output
            raise
        except OSError as error:
            reason = error.strerror or str(error)
            _fail(f"{error.filename}: {reason}" if error.filename else reason)
        except RuntimeError as error:
            if "can't allocate memory" not in str(error):  # as torch says of the host's memory
                raise
            _fail(f"not enough memory: {error}")
        except MemoryError as error:
            _fail(f"not enough memory: {error}")
        except (
            ValueError,
            ModuleNotFoundError,
            CUDANotAvailableError,
            SpecificationError,
        ) as error:
            _fail(str(error))


def _fail(message: str) -> NoReturn:
    click.echo("Error: " + " ".join(message.split()), err=True)
    sys.exit(2)


def check_outputs(files: Sequence[Path], inputs: Sequence[str | None]) -> None:
    """Checks that all outputs can be written, and that none is another or an input.

    Raises
    ------
    ValueError, OSError
        Naming the file and what is wrong.
    """
    taken = {Path(name).resolve() for name in inputs if name}
    taken |= {Path(name.rpartition(":")[0]).resolve() for name in inputs if name and ":" in name}
    for file in files:
        target = file.resolve()
        if target in taken:
            raise ValueError(f"{file} is given twice; inputs and outputs must be different files")
        taken.add(target)
        if not target.parent.is_dir():
            raise FileNotFoundError(f"the folder of {file} does not exist: {target.parent}")
        if target.exists() and not target.is_file():
            raise ValueError(f"{file} is there already and is not a file")
        if not os.access(target.parent, os.W_OK | os.X_OK):
            raise PermissionError(f"no permission to write into the folder {target.parent}")
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(f"no permission to overwrite {file}")


@dataclass(frozen=True)
class Results:
    """The files that a command is to write of an embedding.

    Attributes
    ----------
    output : str or None
        Of coordinates; ``-`` is standard output.
    plot, html, save : str or None
    """

    output: str | None
    plot: str | None = None
    html: str | None = None
    save: str | None = None

    @property
    def files(self) -> list[Path]:
        """All of them."""
        named = [self.output if self.output != "-" else None, self.plot, self.html, self.save]
        return [Path(name) for name in named if name]

    @property
    def resumes(self) -> bool:
        """Whether coordinates go to a file to which they can be written as they are found."""
        return self.output is not None and Path(self.output).suffix == ".npy"

    def check(self, inputs: Sequence[str | None]) -> None:
        """Checks that there are some, of known kinds, that can be written.

        Raises
        ------
        ValueError, OSError
            Naming the file and what is wrong.
        """
        if not self.files and self.output is None:
            raise ValueError("nothing would be written: give '-o', '--plot' or '--html'")
        if self.output is not None:
            from fastparadime.utils.tables import check_output

            check_output(self.output)
        for name, kinds in ((self.plot, (".png",)), (self.html, (".html", ".htm"))):
            if name is not None and Path(name).suffix not in kinds:
                raise ValueError(
                    f"{name} has an unknown extension; it is written as {' or '.join(kinds)}"
                )
        check_outputs(self.files, inputs)

    def check_components(self, n_components: int) -> None:
        """Checks that the embedding can be drawn, if it is to be."""
        for option, asked in (("--plot", self.plot), ("--html", self.html)):
            if asked is not None and n_components != 2:
                raise ValueError(
                    f"{option} draws two components, but the embedding has {n_components}"
                )


def check_device(device: str) -> None:
    """Checks that the device can be used.

    Raises
    ------
    ValueError, CUDANotAvailableError
    """
    from fastparadime import ops

    try:
        ops.resolve_device(device)
    except ValueError as error:
        raise ValueError(f"--device must be cpu, cuda or cuda:N, not {device!r}") from error


def check_options(min_dist: float, metric: str, recall: float | None) -> None:
    """Checks options of the method that do not depend on the data.

    Raises
    ------
    ValueError
    """
    from fastparadime.neighbors import check_metric

    if not 0 <= min_dist <= 1:
        raise ValueError(f"--min-dist must be in [0, 1], not {min_dist}")
    check_metric(metric)
    if recall is not None and not 0 < recall <= 1:
        raise ValueError(f"--recall must be in (0, 1], not {recall}")


def check_neighbors(n_neighbors: int, rows: int, sample: float | None = None) -> None:
    """Checks that so many rows, or a sample of them, have so many neighbours."""
    if sample is not None:
        from fastparadime.neighbors.stratified import sample_size

        rows, whole = sample_size(sample, rows), rows
        if n_neighbors >= rows:
            raise ValueError(
                f"--n-neighbors must be smaller than the sample, {rows} of {whole} rows, but is "
                f"{n_neighbors}"
            )
    if n_neighbors >= rows:
        raise ValueError(
            f"--n-neighbors must be smaller than the number of rows, {rows}, but is {n_neighbors}"
        )
