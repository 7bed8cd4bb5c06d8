"""Training steps recorded once as a CUDA graph and replayed.

A step that always does the same work on the same memory needs the host once. What changes from
step to step is on the device: the number of the step, which the draws depend on, and the learning
rates and losses of all steps, which are looked up and kept by that number.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from fastparadime.training.optim import Optimizer

DEVICES = {"cuda"}  # where steps are recorded
_WARM_UP = 3  # steps in which libraries load and choose what they run
# Recording a step takes about as long as making it: a graph holds a thousandth of all steps.
_MOST_STEPS = 10
_STEPS_PER_RECORDED = 1000


def steps_per_graph(steps: int, steps_per_epoch: int) -> int:
    """How many steps a graph holds, a divisor of an epoch's."""
    most = max(1, min(_MOST_STEPS, steps // _STEPS_PER_RECORDED))
    return next(count for count in range(most, 0, -1) if steps_per_epoch % count == 0)


def record(step: Callable[[], None], times: int, device: torch.device) -> Callable[[], None]:
    """A call that makes a step so many times: on a CUDA device, the replay of a graph of them.

    Recording makes no step. It must be called on a stream other than the default one.

    Raises
    ------
    RuntimeError
        If the step does what cannot be recorded, such as waiting for the device.
    """
    if device.type != "cuda":
        return functools.partial(_repeat, step, times)
    graph, pool = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
    # Of this thread alone: others may allocate and wait meanwhile.
    graph.capture_begin(pool=pool, capture_error_mode="thread_local")
    capture(
        graph, functools.partial(_repeat, step, times), functools.partial(_abandon, device, pool)
    )
    return graph.replay


def capture(graph: Any, work: Callable[[], None], abandon: Callable[[], None]) -> None:
    """Does work whose capture has begun, and ends the capture, also where the work fails.

    `abandon` is called if the capture cannot be ended as it should, which leaves memory to it.
    """
    try:
        work()
    except BaseException:
        try:
            graph.capture_end()
        except RuntimeError:  # of what the work did, whose error says more
            abandon()
        raise
    try:
        graph.capture_end()
    except RuntimeError:
        abandon()
        raise


def _abandon(device: torch.device, pool: tuple[int, int]) -> None:
    """Gives back what a capture that failed has left: its memory, and the generator of its draws."""
    index = torch.cuda.current_device() if device.index is None else device.index
    # torch ends these with a capture that succeeds, and has no public function for another.
    names = ("_cuda_endAllocateToPool", "_cuda_endAllocateCurrentStreamToPool")  # before torch 2.7
    end = next(getattr(torch._C, name) for name in names if hasattr(torch._C, name))
    end(index, pool)
    torch._C._cuda_releasePool(index, pool)
    # A generator takes no draws outside of captures until one has ended.
    graph, mark = torch.cuda.CUDAGraph(), torch.zeros(1, device=device)
    graph.capture_begin(capture_error_mode="thread_local")
    mark.add_(1)
    graph.capture_end()


def _repeat(step: Callable[[], None], times: int) -> None:
    for _ in range(times):
        step()


@contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """A `with` block on a stream of its own, in order with what came before and comes after it."""
    if device.type != "cuda":
        yield
        return
    outside, inside = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    inside.wait_stream(outside)
    with torch.cuda.stream(inside):
        try:
            yield
        finally:
            outside.wait_stream(inside)


def warn_not_recorded(reason: str) -> None:
    """Says that the steps of a phase are made one by one from Python."""
    warnings.warn(
        f"the training step is not replayed from a CUDA graph, which is slower: {reason}. "
        "TrainingPhase(cuda_graph=False) does the same without this warning",
        stacklevel=2,
    )


class Progress:
    """What the steps of a phase read and write, on their device.

    Parameters
    ----------
    steps : int
        Of the phase.
    device : torch.device
    rates : sequence of float, optional
        Learning rates of all steps, if they differ.

    Attributes
    ----------
    step : int64 (1,)
        The number of the next step.
    losses : float32 (steps,)
    rate : float32 (), or None
        The learning rate of the current step, if they differ, for the optimizer to read.
    """

    def __init__(
        self, steps: int, device: torch.device, rates: Sequence[float] | None = None
    ) -> None:
        self.step = torch.zeros(1, dtype=torch.int64, device=device)
        self.losses = torch.zeros(steps, device=device)
        self.rate: torch.Tensor | None = None
        if rates is not None:
            self._rates = torch.tensor(rates, dtype=torch.float32).to(device)
            self.rate = torch.zeros((), device=device)

    def begin(self) -> None:
        """Looks up the step's learning rate."""
        if self.rate is not None:
            torch.index_select(self._rates, 0, self.step, out=self.rate.view(1))

    def end(self, loss: torch.Tensor) -> None:
        """Keeps the step's loss and goes on to the next step."""
        self.losses.index_copy_(0, self.step, loss.detach().float().reshape(1))
        self.step.add_(1)


class TorchStep:
    """A step of training by torch: a loss, its backward pass and the optimizer's update.

    Parameters
    ----------
    loss : callable (int64 tensor (1,)) -> tensor ()
        The loss of the step of that number, ready for its backward pass. It does the same work for
        each step, and keeps no state of its own but in tensors changed in place.
    optimizer : Optimizer
        Of the kind that `optim.recordable_options` allows.
    progress : Progress
    """

    def __init__(
        self,
        loss: Callable[[torch.Tensor], torch.Tensor],
        optimizer: Optimizer,
        progress: Progress,
    ) -> None:
        self._loss = loss
        self._optimizer = optimizer
        self._progress = progress
        self._one: torch.Tensor | None = None

    def __call__(self) -> None:
        self._progress.begin()
        self._optimizer.zero_grad()
        loss = self._loss(self._progress.step)
        if self._one is None:
            self._one = torch.ones_like(loss)  # which backward would fill anew in each step
        loss.backward(self._one)
        self._optimizer.step()
        self._progress.end(loss)


class RecordedStep:
    """A step of training that is made as it is written at first, then recorded and replayed.

    Parameters
    ----------
    step : callable
        Makes the next step.
    device : torch.device
    steps_per_graph : int
    recordable : bool
        Whether it is recorded at all.

    Warns
    -----
    UserWarning
        Once, if the step cannot be recorded; it is then made as it is written each time.
    """

    def __init__(
        self,
        step: Callable[[], None],
        device: torch.device,
        steps_per_graph: int = 1,
        *,
        recordable: bool = True,
    ) -> None:
        self._step = step
        self._device = device
        self._steps_per_graph = steps_per_graph
        self._made = 0
        self._replay: Callable[[], None] | None = None
        self._recordable = recordable

    def advance(self, most: int) -> int:
        """Makes one step or those of the graph, at most so many; returns how many."""
        count = self._steps_per_graph
        if self._recordable and self._replay is None and self._made >= _WARM_UP and most >= count:
            self._record()
        if self._replay is not None and most >= count:
            self._replay()
        else:
            count = 1
            self._step()
        self._made += count
        return count

    def _record(self) -> None:
        try:
            self._replay = record(self._step, self._steps_per_graph, self._device)
        except RuntimeError as error:
            # Nothing of the step was done: its work was to be noted, not made.
            self._recordable = False
            warn_not_recorded(str(error).partition("\n")[0])
