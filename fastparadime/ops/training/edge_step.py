"""Training steps of a network on negative-sampled edges, as one operation."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from fastparadime import _core
from fastparadime.ops._checks import as_positive, on_device, target_of
from fastparadime.ops._layers import CoreLayer, check_layers, core_layers, planned_layers
from fastparadime.ops.training.edge_sampler import EdgeSampler
from fastparadime.ops.training.mlp import POINTWISE_ACTIVATIONS
from fastparadime.utils.validate import check_integer, check_option, check_positive

MOST_STEP_WIDTH = 128  # columns between layers
MOST_STEP_NEGATIVES = 30  # with both ends of an edge they are a tile of rows


class EdgeStep:
    """Training steps of a fully connected network on negative-sampled edges, with Adam.

    A step draws edges as `EdgeSampler.draw_ends` does, takes the loss of
    `negative_edge_cross_entropy` and its gradients, and updates the weights, in four kernels. The
    products of the first layer and of the last are as exact as float32's; those between round
    their factors to tf32, as `hidden_layers`. On the CPU the blocks of a device are gone through
    one by one, to compare its results with: training there takes `Mlp`.

    Parameters
    ----------
    sampler : EdgeSampler
        On the device of the tensors.
    table : float32 tensor (n, in)
        Rows of the points, contiguous; as many as the sampler's.
    weights : sequence of float32 tensors (out, in)
        Two or more, contiguous, from the first layer to the last; changed in place by each step.
    biases : sequence of float32 tensors (out,)
        Likewise.
    activation : {"softplus", "silu", "relu"}
    batch_size, negatives : int
        Positive edges of a step, and negative ones to each.
    a, b : float
        The curve's parameters.
    steps : int
        Most steps: later ones change nothing.
    learning_rate : float or sequence of `steps` floats
    epsilon, repulsion_strength : float
        Of the loss.
    keep_gradients : bool
        Whether `gradients` is kept, for comparisons.
    shared_bytes : int, optional
        Shared memory that a block may take; the device's if None.

    Attributes
    ----------
    losses : float32 tensor (steps,)
        Of the steps made so far.
    gradients : list of float32 tensors, or None
        Of the last step, in weight, bias, weight, ...

    Raises
    ------
    TypeError, ValueError
        For tensors that are not float32, contiguous, on one device and of shapes that fit, and for
        a network that `fits` refuses.
    """

    _BETAS = (0.9, 0.999)
    _EPSILON = 1e-8

    def __init__(
        self,
        sampler: EdgeSampler,
        table: torch.Tensor,
        weights: Sequence[torch.Tensor],
        biases: Sequence[torch.Tensor],
        activation: str,
        batch_size: int,
        negatives: int,
        a: float,
        b: float,
        *,
        steps: int,
        learning_rate: float | Sequence[float],
        epsilon: float = 1e-7,
        repulsion_strength: float = 1.0,
        keep_gradients: bool = False,
        shared_bytes: int | None = None,
    ) -> None:
        _check(sampler, table, weights, biases)
        check_option(activation, POINTWISE_ACTIVATIONS, "activation")
        batch_size = check_integer(batch_size, "batch_size", minimum=1, maximum=2**32 - 1)
        negatives = check_integer(negatives, "negatives", minimum=0)
        check_integer(steps, "steps", minimum=0)
        layers = core_layers(weights, biases)
        core = _planned(layers, activation, batch_size, negatives, table.device, shared_bytes)
        if core is None:
            widths = [table.shape[1], *map(len, weights)]
            raise ValueError(
                f"weights and negatives must fit: at most {_core.kMaxHiddenLayers + 1} layers, "
                f"{MOST_STEP_WIDTH} columns between them and {MOST_STEP_NEGATIVES} negative edges, "
                f"not widths {widths} and {negatives}"
            )
        core.use_edges(*sampler.addresses(), sampler.n, sampler.seed)
        core.use_loss(
            as_positive(a, "a"),
            as_positive(b, "b"),
            as_positive(epsilon, "epsilon"),
            as_positive(repulsion_strength, "repulsion_strength", zero_ok=True),
        )
        rates = _rates(learning_rate, steps, table.device)
        rate = 0.0 if isinstance(learning_rate, Sequence) else learning_rate
        core.use_adam(rate, *self._BETAS, self._EPSILON)
        self._core = core
        self._table = table
        tensors = [tensor for pair in zip(weights, biases, strict=True) for tensor in pair]
        kept = self._use_arrays(steps, rates, tensors if keep_gradients else [])
        self._kept = (sampler, tensors, rates, *kept)  # which the core knows by address

    def _use_arrays(
        self, steps: int, rates: torch.Tensor | None, differentiated: Sequence[torch.Tensor]
    ) -> list[torch.Tensor]:
        """Allocates what steps write, and gives what is not an attribute of it."""
        core, table = self._core, self._table
        self.losses = table.new_zeros(steps)
        state = table.new_zeros(2, core.size)
        counters = torch.zeros(2, dtype=torch.int64, device=table.device)
        scratch = torch.empty(core.scratch_bytes, dtype=torch.uint8, device=table.device)
        sizes = [tensor.numel() for tensor in differentiated]
        flat, self.gradients = table.new_zeros(sum(sizes)), None
        if differentiated:
            parts = zip(flat.split(sizes), differentiated, strict=True)
            self.gradients = [part.view(tensor.shape) for part, tensor in parts]
        core.use_arrays(
            table.data_ptr(),
            state[0].data_ptr(),
            state[1].data_ptr(),
            flat.data_ptr() if differentiated else 0,
            self.losses.data_ptr(),
            steps,
            0 if rates is None else rates.data_ptr(),
            counters.data_ptr(),
            scratch.data_ptr(),
        )
        return [state, counters, scratch, flat]

    def __call__(self) -> None:
        """Makes a step, or notes it where the stream is recorded; the host does not wait."""
        with on_device(self._table):
            _core.edge_step(self._core, target_of(self._table))

    @staticmethod
    def fits(widths: Sequence[int], negatives: int, device: torch.device) -> bool:
        """Whether steps of a network of these widths, input and output included, go this way.

        Networks of a hidden layer or more, with up to nine layers and 128 columns between them,
        and up to 30 negative edges do, if a block of the device has shared memory enough.
        """
        layers = planned_layers(widths)
        return _planned(layers, POINTWISE_ACTIVATIONS[0], 1, negatives, device, None) is not None


def _planned(
    layers: list[CoreLayer],
    activation: str,
    batch_size: int,
    negatives: int,
    device: torch.device,
    shared_bytes: int | None,
) -> _core.EdgeStep | None:
    """The steps of a network, None where they do not fit."""
    inner = [high for *_, high in layers]
    if (
        not 2 <= len(layers) <= _core.kMaxHiddenLayers + 1
        or max(inner) > MOST_STEP_WIDTH
        or negatives > MOST_STEP_NEGATIVES
    ):
        return None
    if shared_bytes is None:
        place = torch.empty(0, device=device)
        with on_device(place):
            shared_bytes = _core.block_shared_bytes(target_of(place))
    number = POINTWISE_ACTIVATIONS.index(activation)
    core = _core.EdgeStep(layers, number, batch_size, negatives, shared_bytes)
    return core if core.tile_rows > 0 else None


def _check(
    sampler: EdgeSampler,
    table: torch.Tensor,
    weights: Sequence[torch.Tensor],
    biases: Sequence[torch.Tensor],
) -> None:
    check_layers(table, "table", weights, biases)
    for number, tensor in enumerate((table, *weights, *biases)):
        if not tensor.is_contiguous():
            what = "the table" if number == 0 else "weights and biases"
            raise ValueError(f"{what} must be contiguous, not strides {tensor.stride()}")
    if sampler.device != table.device or len(table) != sampler.n:
        raise ValueError(
            f"table must have a row for each of the sampler's {sampler.n} points on "
            f"{sampler.device}, not {len(table)} on {table.device}"
        )


def _rates(
    learning_rate: float | Sequence[float], steps: int, device: torch.device
) -> torch.Tensor | None:
    if not isinstance(learning_rate, Sequence):
        check_positive(learning_rate, "learning_rate", zero_ok=True)
        return None
    if len(learning_rate) != steps:
        raise ValueError(
            f"learning_rate must be a number or one for each of {steps} steps, not "
            f"{len(learning_rate)}"
        )
    return torch.tensor(learning_rate, dtype=torch.float32).to(device)
