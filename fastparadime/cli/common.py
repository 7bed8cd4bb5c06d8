"""What the commands share: one-line errors, checks made before any work, outputs, the summary.

Imports nothing heavy by itself, as `fastparadime.cli` does.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from fastparadime.exceptions import CUDANotAvailableError, SpecificationError
from fastparadime.utils.messages import lacks_memory

if TYPE_CHECKING:
    import torch

    from fastparadime.types import Array


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
        except MemoryError as error:
            _fail(f"not enough memory: {error}")
        except RuntimeError as error:
            if not lacks_memory(error):
                raise
            _fail(f"not enough memory: {str(error).splitlines()[0]}")
        except (
            ValueError,
            ImportError,
            CUDANotAvailableError,
            SpecificationError,
        ) as error:
            _fail(str(error))


def _fail(message: str) -> NoReturn:
    click.echo("Error: " + " ".join(message.split()), err=True)
    sys.exit(2)


@dataclass
class Report:
    """Seconds of what a command did, for its closing summary."""

    stages: dict[str, float] = field(default_factory=dict)
    start: float = field(default_factory=time.perf_counter)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times what runs inside."""
        start = time.perf_counter()
        yield
        self.stages[name] = time.perf_counter() - start

    def show(self, facts: dict[str, Any], files: Sequence[Path]) -> None:
        """Prints facts, stages and the files written."""
        seconds = {**self.stages, "total": time.perf_counter() - self.start}
        width = 2 + max(len(name) for name in (*facts, *seconds))
        lines = [f"{name:<{width}}{value}" for name, value in facts.items()]
        lines += [f"{name:<{width}}{value:.2f} s" for name, value in seconds.items()]
        lines += [f"{'' if i else 'wrote':<{width}}{path}" for i, path in enumerate(files)]
        click.echo("\n".join(lines))


def check_outputs(
    files: Sequence[Path],
    inputs: Sequence[str | None],
    output: str | None = None,
    plot: str | None = None,
) -> None:
    """Checks that all outputs can be written, and that none is another or an input.

    Raises
    ------
    ValueError, OSError
        Naming the file and what is wrong.
    """
    if output is not None and Path(output).suffix != ".npy":
        raise ValueError(f"{output} has an unknown extension; the embedding is written as .npy")
    if plot is not None and Path(plot).suffix != ".png":
        raise ValueError(f"{plot} has an unknown extension; the plot is written as .png")
    taken = {Path(name.rpartition(".npz:")[0] + ".npz").resolve() for name in inputs if name}
    taken |= {Path(name).resolve() for name in inputs if name}
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


def check_plot(plot: str | None, n_components: int) -> None:
    """Checks that the embedding can be drawn, if it is to be."""
    if plot is not None and n_components != 2:
        raise ValueError(f"--plot draws two components, but the embedding has {n_components}")


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


def check_neighbors(n_neighbors: int, rows: int) -> None:
    """Checks that so many rows have so many neighbours."""
    if n_neighbors >= rows:
        raise ValueError(
            f"--n-neighbors must be smaller than the number of rows, {rows}, but is {n_neighbors}"
        )


def read(x: str, labels: str | None, *, min_rows: int) -> tuple[Array, Array | None]:
    """The data table and its labels, both checked.

    Raises
    ------
    ValueError, OSError, ModuleNotFoundError
    """
    from fastparadime.cli.tables import read_labels, read_table

    try:
        data = read_table(x, min_rows=min_rows)
        return data, None if labels is None else read_labels(labels, len(data))
    except TypeError as error:
        raise ValueError(str(error)) from error


def write_results(
    report: Report,
    coords: torch.Tensor,
    output: Path,
    plot: Path | None,
    labels: Array | None,
    title: str | None = None,
) -> None:
    """Writes the embedding and, if asked, its map."""
    import numpy as np

    from fastparadime.utils.files import replacing

    with report.stage("write"), replacing(output) as file:
        np.save(file, coords.numpy())
    if plot is not None:
        from fastparadime.utils.plotting import save_map

        with report.stage("plot"), replacing(plot) as file:
            save_map(file, coords, labels, title)
    elif labels is not None:
        click.echo("Note: --labels colour the map of --plot, which was not asked for", err=True)
