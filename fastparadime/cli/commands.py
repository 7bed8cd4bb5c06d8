"""The command line: ``fastparadime demo | embed | apply | export | info``.

Everything heavy is imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from fastparadime.cli import common, options
from fastparadime.cli.common import Results
from fastparadime.cli.stages import Report


@click.group(cls=common.Commands, no_args_is_help=False, invoke_without_command=True)
@click.version_option(package_name="fastparadime", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Parametric dimensionality reduction at native speed."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _report(*, quiet: bool = False, output: str | None = None) -> Report:
    return Report(quiet=quiet, bars=sys.stderr.isatty(), to_stderr=output == "-")


@main.command()
@click.option("--output-dir", default=".", show_default=True, help="Where the files go.")
@options.seed
@options.device
def demo(output_dir: str, seed: int | None, device: str) -> None:
    """Embed scikit-learn's handwritten digits and draw the map."""
    names = [str(Path(output_dir) / name) for name in ("digits_embedding.npy", "digits_map.png")]
    results = Results(*names)
    results.check([])
    common.check_device(device)
    report = _report()
    with report.stage("read"):
        from sklearn.datasets import load_digits

        images, digits = load_digits(return_X_y=True)
        images = (images / 16).astype("float32")
    from fastparadime.cli import methods, tables

    fitted = methods.fit_network(
        images,
        report,
        n_neighbors=15,
        min_dist=0.1,
        quality="balanced",
        device=device,
        seed=seed,
    )
    title = f"Handwritten digits: {len(images):,} images, parametric UMAP"
    tables.write(report, results, fitted.coords, None, digits, title)
    report.show({"data": _size(images, fitted.coords), **fitted.facts}, results.files)


@main.command()
@click.argument("x", metavar="X")
@options.results
@click.option("--save", metavar="MODEL", help="Save the model, for the apply command.")
@options.beside
@options.features
@click.option(
    "--method",
    type=click.Choice(["network", "umap"]),
    help="A network that learns the map, or UMAP's positions without one; umap if not given, but "
    "network with --save or --quality.",
)
@click.option(
    "--n-neighbors", type=click.IntRange(1), default=15, show_default=True, help="Other points."
)
@click.option("--n-components", type=click.IntRange(1), default=2, show_default=True)
@click.option("--min-dist", type=float, default=0.1, show_default=True, help="In [0, 1].")
@click.option("--metric", default="euclidean", show_default=True)
@click.option(
    "--recall", type=float, help="Share of the true neighbours to find, in (0, 1]; 1 is exact."
)
@click.option(
    "--quality",
    type=click.Choice(["fast", "balanced", "best"]),
    help="The network and how long it learns; balanced if not given.",
)
@click.option(
    "--sample",
    callback=options.as_sample,
    metavar="ROWS",
    help="Fit on so many rows, or a share such as 0.1, of each cluster some, and place all.",
)
@click.option(
    "--checkpoint",
    metavar="DIR",
    help="Keep each stage in a folder, from which the same command goes on if it was ended.",
)
@options.reading
@options.device
@options.seed
@options.quiet
def embed(x: str, **given: Any) -> None:
    """Embed the rows of X and write their coordinates, a map, and a model for new rows.

    X is a text file (.csv, .tsv, also compressed), .parquet, .feather, .arrow, .npy, .npz, .h5,
    .h5ad, .zarr (file.npz:NAME where it holds several arrays), a folder or pattern of such files,
    or - for standard input.

    Under torchrun, which starts several processes, these share the rows.
    """
    results = Results(*(given.pop(name) for name in ("output", "plot", "html", "save")))
    results.check([x, given["labels"]])
    results.check_components(given["n_components"])
    asked_for, quiet = given.pop("method"), given.pop("quiet")
    common.check_options(given["min_dist"], given["metric"], given["recall"])
    if asked_for == "umap" and given["quality"] is not None:
        raise ValueError("--quality is of --method network: UMAP has none")
    if given["checkpoint"] and given["sample"] and given["seed"] is None:
        raise ValueError("--checkpoint with --sample needs --seed, which draws the same sample")
    # Without a model to keep, a network would cost seconds and part of the neighbours for nothing.
    network_needed = results.save is not None or given["quality"] is not None
    method = asked_for or ("network" if network_needed else "umap")
    common.check_device(given["device"])
    from fastparadime.cli import processes

    with processes.joined() as group:
        if group is not None and method == "umap" and results.save:
            raise ValueError("--save is of --method network under torchrun: UMAP's has all rows")
        first = processes.is_first(group)
        report = _report(quiet=quiet or not first, output=results.output)
        unasked = asked_for is None and method == "umap"
        _embed(x, results, report, method, given, group, first=first, unasked=unasked)


def _embed(
    x: str,
    results: Results,
    report: Report,
    method: str,
    given: dict[str, Any],
    group: Any,
    *,
    first: bool,
    unasked: bool,
) -> None:
    from fastparadime.cli import methods, processes, tables

    asked = tables.Asked.of(x, given)
    table, labels = asked.read(report, min_rows=2)
    common.check_neighbors(given["n_neighbors"], len(table), given["sample"])
    if unasked:
        report.note(
            "the points are laid out by UMAP without a network, since no model is saved "
            "(--method network trains one)"
        )
    given = {name: value for name, value in given.items() if value is not None}
    if group is not None:
        fitted = processes.fit(table.rows, report, group, method=method, **given)
    elif method == "umap":
        fitted = methods.fit_umap(table.rows, report, **given)
    else:
        fitted = methods.fit_network(table.rows, report, **given)
    if not first:
        return
    title = tables.title_of(x, len(table), fitted.facts["method"])
    tables.write(report, results, fitted.coords, table, labels, title, fitted.neighbors)
    if results.save:
        with report.stage("save"):
            methods.save(fitted, results.save, table.recipe)
    report.show({"data": _size(table.values, fitted.coords), **fitted.facts}, results.files)


@main.command()
@click.argument("model")
@click.argument("x", metavar="X")
@options.results
@options.beside
@options.reading
@options.device
@options.quiet
def apply(model: str, x: str, device: str, **given: Any) -> None:
    """Embed the rows of X with a saved MODEL.

    Columns are found by their names, in whatever order they are, and are filled, scaled and made of
    categories as those of the table that the model was fitted to.

    A .npy output is written as rows are placed. If the command is ended, the same command goes on
    where it was.
    """
    results = Results(*(given.pop(name) for name in ("output", "plot", "html")))
    results.check([x, given["labels"], model])
    common.check_device(device)
    report = _report(quiet=given.pop("quiet"), output=results.output)
    from fastparadime.cli import methods, tables
    from fastparadime.utils.progress import watched

    asked = tables.Asked.of(x, given)
    with report.stage("load"):
        loaded = methods.load(model, device)
    results.check_components(loaded.out_dim)
    table, labels = asked.read(report, loaded.recipe, min_rows=1)
    loaded.check_width(table)
    written = results.output if results.resumes else None
    with report.stage("apply"), watched(report.watch):
        coords = loaded.place(table.rows, written)
    title = tables.title_of(x, len(table), f"placed by {Path(model).name}")
    table = tables.renamed(table, asked.choice)
    left = replace(results, output=None) if written else results
    tables.write(report, left, coords, table, labels, title)
    facts = {"data": _size(table.values, coords), "model": model, "device": device}
    report.show(facts, results.files)


@main.command()
@click.argument("model")
@click.argument("output", metavar="OUTPUT")
def export(model: str, output: str) -> None:
    """Write a saved MODEL for other runtimes.

    OUTPUT is a .onnx file, or a .pt2 file for torch.export.load.
    """
    common.check_outputs([Path(output)], [model])
    from fastparadime import dr

    report = _report()
    with report.stage("export"):
        dr.ParametricDR.load(model).export(output)
    report.show({"model": model}, [Path(output)])


@main.command()
def info() -> None:
    """Show versions, instruction set, threads, devices and faiss."""
    from fastparadime.cli.config import show_config

    show_config()


def _size(rows: Any, coords: Any) -> str:
    return f"{len(rows):,} x {rows.shape[1]:,} -> {coords.shape[1]}"
