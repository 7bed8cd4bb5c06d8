"""The command line: ``fastparadime demo | embed | apply | export | info``.

Everything heavy is imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fastparadime.cli import common

if TYPE_CHECKING:
    import torch

    from fastparadime.routines import ParametricUMAP
    from fastparadime.types import Array


@click.group(cls=common.Commands, no_args_is_help=False, invoke_without_command=True)
@click.version_option(package_name="fastparadime", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Parametric dimensionality reduction at native speed."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


_seed_option = click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    help="For the same result again; drawn and reported if not given.",
)
_device_option = click.option(
    "--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N."
)
_plot_option = click.option("--plot", metavar="MAP.png", help="Draw the embedding too.")
_labels_option = click.option(
    "--labels", metavar="LABELS", help="Labels that colour the plot; any format that X may have."
)
_output_option = click.option(
    "-o", "--output", required=True, metavar="Y.npy", help="Where the embedding goes."
)


@main.command()
@click.option("--output-dir", default=".", show_default=True, help="Where the files go.")
@_seed_option
@_device_option
def demo(output_dir: str, seed: int | None, device: str) -> None:
    """Embed scikit-learn's handwritten digits and draw the map."""
    files = [Path(output_dir) / name for name in ("digits_embedding.npy", "digits_map.png")]
    common.check_outputs(files, [])
    common.check_device(device)
    report = common.Report()
    with report.stage("read"):
        from sklearn.datasets import load_digits

        images, digits = load_digits(return_X_y=True)
        images = (images / 16).astype("float32")
    routine = _build_routine(
        n_neighbors=15,
        min_dist=0.1,
        quality="balanced",
        device=device,
        seed=seed,
        progress=sys.stderr.isatty(),
    )
    coords = _train(routine, images, report)
    title = f"Handwritten digits: {len(images):,} images, parametric UMAP"
    common.write_results(report, coords, files[0], files[1], digits, title)
    _summarise(report, images, routine, files)


@main.command()
@click.argument("x", metavar="X")
@_output_option
@_labels_option
@_plot_option
@click.option("--n-neighbors", type=click.IntRange(1), default=15, show_default=True)
@click.option("--n-components", type=click.IntRange(1), default=2, show_default=True)
@click.option("--min-dist", type=float, default=0.1, show_default=True, help="In [0, 1].")
@click.option("--metric", default="euclidean", show_default=True)
@click.option(
    "--recall", type=float, help="Share of the true neighbours to find, in (0, 1]; 1 is exact."
)
@click.option(
    "--quality",
    type=click.Choice(["fast", "balanced", "best"]),
    default="balanced",
    show_default=True,
    help="The network and how long it learns.",
)
@_device_option
@_seed_option
@click.option("--save", metavar="MODEL", help="Save the model, for the apply command.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def embed(
    x: str,
    output: str,
    labels: str | None,
    plot: str | None,
    n_neighbors: int,
    n_components: int,
    recall: float | None,
    save: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Train a model on the rows of X and write their embedding.

    X is a .npy, .npz (file.npz:NAME where it holds several arrays), .csv or .parquet file.
    """
    files = [Path(name) for name in (output, plot, save) if name]
    common.check_outputs(files, [x, labels], output=output, plot=plot)
    common.check_plot(plot, n_components)
    if recall is not None:
        options["recall"] = recall
    common.check_options(options["min_dist"], options["metric"], recall)
    common.check_device(options["device"])
    report = common.Report()
    with report.stage("read"):
        data, classes = common.read(x, labels, min_rows=2)
    common.check_neighbors(n_neighbors, len(data))
    routine = _build_routine(
        n_neighbors=n_neighbors,
        out_dim=n_components,
        progress=not quiet and sys.stderr.isatty(),
        **options,
    )
    coords = _train(routine, data, report)
    common.write_results(report, coords, Path(output), Path(plot) if plot else None, classes)
    if save:
        with report.stage("save"):
            routine.save(save)
    _summarise(report, data, routine, files)


@main.command()
@click.argument("model")
@click.argument("x", metavar="X")
@_output_option
@_device_option
@_plot_option
@_labels_option
def apply(
    model: str, x: str, output: str, device: str, plot: str | None, labels: str | None
) -> None:
    """Embed the rows of X with a saved MODEL."""
    files = [Path(name) for name in (output, plot) if name]
    common.check_outputs(files, [x, labels, model], output=output, plot=plot)
    common.check_device(device)
    from fastparadime import dr, models

    report = common.Report()
    with report.stage("read"):
        routine = dr.ParametricDR.load(model, device=device)
        data, classes = common.read(x, labels, min_rows=1)
    width = models.input_width(routine.model)
    if width is not None and data.shape[1] != width:
        raise ValueError(f"{x} has {data.shape[1]} columns, but the model of {model} takes {width}")
    common.check_plot(plot, routine.out_dim)
    with report.stage("apply"):
        coords = routine.apply(data)
    common.write_results(report, coords, Path(output), Path(plot) if plot else None, classes)
    size = f"{len(data):,} x {data.shape[1]:,} -> {routine.out_dim}"
    report.show({"data": size, "model": model, "device": device}, files)


@main.command()
@click.argument("model")
@click.argument("output", metavar="OUTPUT")
def export(model: str, output: str) -> None:
    """Write a saved MODEL for other runtimes.

    OUTPUT is a .onnx file, or a .pt2 file for torch.export.load.
    """
    common.check_outputs([Path(output)], [model])
    from fastparadime import dr

    report = common.Report()
    with report.stage("export"):
        dr.ParametricDR.load(model).export(output)
    report.show({"model": model}, [Path(output)])


@main.command()
def info() -> None:
    """Show versions, instruction set, threads, devices and faiss."""
    from fastparadime.cli.config import show_config

    show_config()


def _build_routine(**options: Any) -> ParametricUMAP:
    from fastparadime import routines

    return routines.ParametricUMAP(**options)


def _train(routine: ParametricUMAP, data: Array, report: common.Report) -> torch.Tensor:
    routine.train(data)
    report.stages.update(routine.stages)
    with report.stage("apply"):
        return routine.apply(data)


def _summarise(
    report: common.Report, data: Array, routine: ParametricUMAP, files: list[Path]
) -> None:
    facts = {
        "data": f"{len(data):,} x {data.shape[1]:,} -> {routine.out_dim}",
        "method": "parametric UMAP",
        "seed": routine.seed,
        "device": routine.device,
    }
    report.show(facts, files)
