"""A fully connected network's forward and backward pass and Jacobian on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from fastparadime import _core
from fastparadime.ops._checks import MAX_POINTS, as_indices, as_positive, check_as_many, check_plain
from fastparadime.types import TensorLike
from fastparadime.utils.validate import check_integer, check_option

POINTWISE_ACTIVATIONS = ("softplus", "silu", "relu")  # in the core's order
MLP_ACTIVATIONS = (*POINTWISE_ACTIVATIONS, "softmax")


class Mlp:
    """A fully connected network on rows of a table, on the CPU, forward and backward.

    Rows x become (x - input_mean) / input_scale, pass through the layers with the activation
    between them, and become y * output_scale + output_mean.

    Parameters
    ----------
    weights : sequence of float32 tensors (out, in)
        Contiguous, from the first layer to the last; read in place at each call.
    biases : sequence of float32 tensors (out,)
        Likewise.
    activation : {"softplus", "silu", "relu", "softmax"}
        Of each value, and of each row for the softmax.
    rows : int
        Most rows of a batch.
    input_mean, output_mean : float32 tensors (in,), (out,), optional
        Of the first layer's input and the last one's output; zeros if None.
    input_scale, output_scale : float

    Attributes
    ----------
    parameters : list of tensors
        Weight and bias of each layer in turn.
    gradients : list of tensors
        Of those, as `backward` left them.

    Raises
    ------
    TypeError, ValueError
        For tensors that are not float32, contiguous, on the CPU and of shapes that fit.
    """

    def __init__(
        self,
        weights: Sequence[torch.Tensor],
        biases: Sequence[torch.Tensor],
        activation: str,
        rows: int,
        *,
        input_mean: torch.Tensor | None = None,
        input_scale: float = 1.0,
        output_mean: torch.Tensor | None = None,
        output_scale: float = 1.0,
    ) -> None:
        check_as_many(weights, biases)
        check_plain(weights[0], "weights[0]", (None, None))
        self.in_dim = width = weights[0].shape[1]
        for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            check_plain(weight, f"weights[{number}]", (None, width))
            width = weight.shape[0]
            check_plain(bias, f"biases[{number}]", (width,))
            if weight.numel() == 0:
                raise ValueError(
                    f"weights[{number}] must not be empty, but is {tuple(weight.shape)}"
                )
        self.out_dim = width
        self.rows = check_integer(rows, "rows", minimum=1)
        as_positive(input_scale, "input_scale")
        as_positive(output_scale, "output_scale")
        means = [
            torch.zeros(dim) if mean is None else mean
            for mean, dim in ((input_mean, self.in_dim), (output_mean, self.out_dim))
        ]
        check_plain(means[0], "input_mean", (self.in_dim,))
        check_plain(means[1], "output_mean", (self.out_dim,))
        pairs = list(zip(weights, biases, strict=True))
        self.parameters = [tensor.detach() for pair in pairs for tensor in pair]
        self.gradients = [torch.zeros_like(tensor) for tensor in self.parameters]
        self._buffers = [_buffers(weight, self.rows) for weight in weights]
        self._means = means
        softmax = check_option(activation, MLP_ACTIVATIONS, "activation") == "softmax"
        self._core = _core.Mlp(
            [self._layer(number) for number in range(len(pairs))],
            0 if softmax else POINTWISE_ACTIVATIONS.index(activation),
            softmax=softmax,
            input_mean=means[0].data_ptr(),
            input_scale=float(input_scale),
            output_mean=means[1].data_ptr(),
            output_scale=float(output_scale),
        )
        self._batch: tuple[torch.Tensor, torch.Tensor] | None = None

    def _layer(self, number: int) -> _core.MlpLayer:
        own = slice(2 * number, 2 * number + 2)
        tensors = (*self.parameters[own], *self._buffers[number], *self.gradients[own])
        out_dim, in_dim = tensors[0].shape
        weight, bias, transposed, values, slopes, weight_grad, bias_grad = tensors
        return _core.MlpLayer(
            weight.data_ptr(),
            bias.data_ptr(),
            transposed.data_ptr(),
            values.data_ptr(),
            slopes.data_ptr(),
            weight_grad.data_ptr(),
            bias_grad.data_ptr(),
            in_dim,
            out_dim,
        )

    def forward(self, table: torch.Tensor, ids: TensorLike) -> torch.Tensor:
        """The network's output for rows of a table.

        Parameters
        ----------
        table : float32 tensor (n, in)
            Contiguous, on the CPU; it must stay as it is until `backward`.
        ids : (m,) integer array
            In [0, n); m at most `rows`.

        Returns
        -------
        tensor (m, out)
            Within a buffer of the network's own, which the next call overwrites.
        """
        check_plain(table, "table", (None, self.in_dim))
        ids = as_indices(ids, "ids", 1, min(len(table), MAX_POINTS))
        if len(ids) > self.rows:
            raise ValueError(f"ids must be at most {self.rows}, the network's rows, not {len(ids)}")
        self._batch = (table, ids)
        _core.mlp_forward(
            self._core, table.data_ptr(), ids.data_ptr(), len(ids), torch.get_num_threads()
        )
        values = self._buffers[-1][1]
        return values[: len(ids) * self.out_dim].view(len(ids), self.out_dim)

    def hidden(self) -> torch.Tensor:
        """What the last hidden layer gave for the rows of the last `forward`.

        Returns
        -------
        tensor (m, hidden)
            Within a buffer, as of `forward`; of the rows themselves there is none.

        Raises
        ------
        RuntimeError
            Without a hidden layer, or a forward pass since the last backward pass.
        """
        if self._batch is None or len(self._buffers) < 2:
            raise RuntimeError("hidden needs a hidden layer, and a forward pass before it")
        m, width = len(self._batch[1]), self.parameters[-2].shape[1]
        return self._buffers[-2][1][: m * width].view(m, width)

    def backward(self, gradient: torch.Tensor) -> None:
        """Computes `gradients` from that of the loss in what `forward` gave.

        Parameters
        ----------
        gradient : float32 tensor (m, out)
            Contiguous, on the CPU.

        Raises
        ------
        RuntimeError
            Without a forward pass since the last backward pass.
        """
        if self._batch is None:
            raise RuntimeError("backward needs a forward pass before it")
        table, ids = self._batch
        check_plain(gradient, "gradient", (len(ids), self.out_dim))
        self._batch = None
        _core.mlp_backward(
            self._core,
            table.data_ptr(),
            ids.data_ptr(),
            len(ids),
            gradient.data_ptr(),
            torch.get_num_threads(),
        )

    def jacobian(self, table: torch.Tensor, ids: TensorLike) -> torch.Tensor:
        """The derivatives of the network's outputs in the columns of a table.

        Parameters
        ----------
        table, ids
            As for `forward`, which runs first.

        Returns
        -------
        float32 tensor (m, out, in)

        Notes
        -----
        The chain rule from the outputs, of which there are few, to the inputs: a row costs as much
        as its backward pass, once for each output.
        """
        m = len(self.forward(table, ids))
        found = torch.empty((m, self.out_dim, self.in_dim))
        _core.mlp_jacobian(self._core, found.data_ptr(), m, torch.get_num_threads())
        return found


def _buffers(weight: torch.Tensor, rows: int) -> tuple[torch.Tensor, ...]:
    """A layer's transposed weight, values and slopes, which the core knows by address."""
    room = -(-rows // _core.kMlpBlock) * _core.kMlpBlock * len(weight)
    return tuple(torch.empty(size) for size in (weight.numel(), room, room))
