"""Batches of a training phase: lazy mappings, so what a loss does not read is never built."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch

from fastparadime.ops import EdgeSampler
from fastparadime.training import row_weights
from fastparadime.utils.convert import widened

Entries = Mapping[str, torch.Tensor]
# paraDime 1.1 names the main entry 'main' and 0.3 names it 'data': one answers for the other.
_OTHER_NAME = {"main": "data", "data": "main"}
_ROWS_OF_SPREAD = 4096  # that show how far the data spreads
_NOISE_BATCHES = 4  # batches that the table of noise has rows for
_NOISE_STRIDE = 7919  # rows between the pieces of two steps: a prime, so that all come in turn


class DataEntries(dict[str, torch.Tensor]):
    """Dataset entries, where 'main' and 'data' stand for one another.

    Attributes
    ----------
    amounts : frozenset of str
        Stored names of entries whose integers are amounts, which batches hold as float32.
    """

    amounts: frozenset[str] = frozenset()

    def __missing__(self, key: str) -> torch.Tensor:
        other = _OTHER_NAME.get(key)
        if other is None or other not in self.keys():
            raise KeyError(f"there is no data entry {key!r}; there are {sorted(self)}")
        return self[other]

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or super().__contains__(_OTHER_NAME.get(str(key), key))

    def stored_name(self, key: str) -> str:
        """The key under which an entry of this name is, or would be, stored."""
        other = _OTHER_NAME.get(key, key)
        return other if other in self.keys() else key

    def names(self) -> set[str]:
        """Every key that is answered, other names included."""
        return {*self, *(other for key, other in _OTHER_NAME.items() if key in self)}


class Batch(Mapping[str, torch.Tensor]):
    """A batch whose entries are built when they are first read."""

    def __init__(self, builders: Mapping[str, Callable[[], torch.Tensor]]) -> None:
        self._builders = builders
        self._built: dict[str, torch.Tensor] = {}

    def __getitem__(self, key: str) -> torch.Tensor:
        if key not in self._builders:
            key = _OTHER_NAME.get(key, key)
        if key not in self._builders:
            raise KeyError(f"the batch has no entry {key!r}; it has {sorted(self._builders)}")
        if key not in self._built:
            self._built[key] = self._builders[key]()
        return self._built[key]

    def __contains__(self, key: object) -> bool:
        return key in self._builders or _OTHER_NAME.get(str(key)) in self._builders

    def __iter__(self) -> Iterator[str]:
        return iter(self._builders)

    def __len__(self) -> int:
        return len(self._builders)


def rows_of(entries: Entries, key: str, indices: torch.Tensor) -> torch.Tensor:
    """Rows of an entry as a batch holds them, integers of one byte widened."""
    entry, amounts = entries[key], getattr(entries, "amounts", ())
    # torch's own: its threads are awake within a step, those of the core asleep.
    rows = entry.index_select(0, indices.to(entry.device))
    return widened(rows, amounts=key in amounts or _OTHER_NAME.get(key) in amounts)


def _rows(entries: Entries, key: str, indices: torch.Tensor) -> Callable[[], torch.Tensor]:
    return functools.partial(rows_of, entries, key, indices)


def _item_order(
    n: int, device: torch.device, seed: int, weights: torch.Tensor | None
) -> torch.Tensor:
    """An order of n items int64 (n,), drawn from the seed, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(n, generator=generator)
    if weights is not None:
        order = row_weights.drawn_rows(weights, generator)[order]
    if device.type != "cuda":
        return order
    return order.pin_memory().to(device, non_blocking=True)  # while the device does other work


def _item_batch(entries: Entries, indices: torch.Tensor) -> Batch:
    builders = {key: _rows(entries, key, indices) for key in entries}
    return Batch({"indices": functools.partial(_same, indices), **builders})


def item_batch_sizes(n: int, batch_size: int, *, joins_single: bool = False) -> list[int]:
    """Items of each batch of an epoch of n items.

    With `joins_single`, a last batch of one item, of which a batch norm knows no variance, is part
    of the batch before.
    """
    whole, left = divmod(n, batch_size)
    if joins_single and left == 1 and whole:
        return [batch_size] * (whole - 1) + [batch_size + 1]
    return [batch_size] * whole + [left] * bool(left)


def item_batches(
    entries: Entries,
    batch_size: int,
    seed: int,
    *,
    joins_single: bool = False,
    weights: torch.Tensor | None = None,
) -> Iterator[Batch]:
    """One epoch of batches of items, each item once, in an order drawn from the seed.

    With `weights` (n,), each as often as they say, up to one; see ``training.row_weights``.
    """
    first = next(iter(entries.values()))
    sizes = item_batch_sizes(len(first), batch_size, joins_single=joins_single)
    for indices in _item_order(len(first), first.device, seed, weights).split(sizes):
        yield _item_batch(entries, indices)


class ItemBatches:
    """The batches of `item_batches`, looked up by the number of a step that only a device knows.

    Parameters
    ----------
    entries : mapping of tensors (n, ...)
    batch_size : int
    joins_single : bool
        As of `item_batch_sizes`.
    weights : float64 tensor (n,), optional
        As of `item_batches`.

    Attributes
    ----------
    sizes : list of int
        Items of each batch of an epoch.
    """

    def __init__(
        self,
        entries: Entries,
        batch_size: int,
        *,
        joins_single: bool = False,
        weights: torch.Tensor | None = None,
    ) -> None:
        self._entries, self._weights = entries, weights
        first = next(iter(entries.values()))
        self.sizes = item_batch_sizes(len(first), batch_size, joins_single=joins_single)
        self._batch_size, self._per_epoch = batch_size, len(self.sizes)
        self._order = torch.empty(len(first), dtype=torch.int64, device=first.device)

    def __len__(self) -> int:
        return len(self._order)

    def begin_epoch(self, seed: int) -> None:
        """Draws the order of the items."""
        order = _item_order(len(self), self._order.device, seed, self._weights)
        self._order.copy_(order)

    def batch(self, step: torch.Tensor, size: int) -> Batch:
        """The first `size` items of a step's batch, by its number int64 (1,) in the phase."""
        places = torch.arange(size, device=step.device) + step % self._per_epoch * self._batch_size
        return _item_batch(self._entries, self._order.index_select(0, places))


def spread_of(table: torch.Tensor) -> torch.Tensor:
    """The standard deviation () of a table's values about their columns' means, by some rows."""
    some = table[:: spread_step(len(table))].float()
    return some.var(dim=0, correction=0).mean().sqrt()


def spread_step(n: int) -> int:
    """How far apart the rows are that show the spread of a table of n."""
    return -(-n // _ROWS_OF_SPREAD)


class Noise:
    """Gaussian noise for the rows of batches: pieces of a table that is drawn once.

    Numbers of its own for each batch would take as long as the batch's products.

    Parameters
    ----------
    table : tensor (n, ...)
        The entry whose rows get noise.
    share : float
        The noise's standard deviation over that of the table about its columns' means.
    rows : int
        Most rows of a batch.
    seed : int
    """

    def __init__(self, table: torch.Tensor, share: float, rows: int, seed: int) -> None:
        spread = spread_of(table)
        generator = torch.Generator().manual_seed(seed)
        values = torch.randn(_NOISE_BATCHES * rows, *table.shape[1:], generator=generator)
        self._values = values.to(table.device) * (share * spread)
        self._places = (_NOISE_BATCHES - 1) * rows + 1

    def piece(self, step: int | torch.Tensor, count: int) -> torch.Tensor:
        """Noise for `count` rows, by the number of their step, an integer or int64 (1,)."""
        place = step * _NOISE_STRIDE % self._places
        if isinstance(place, torch.Tensor):
            places = place + torch.arange(count, device=place.device)
            return self._values.index_select(0, places)
        return self._values[place : place + count]


def with_noise(batch: Batch, key: str, noise: Noise, step: int | torch.Tensor) -> Batch:
    """The batch with noise on the rows of one entry."""
    stored = key if key in list(batch) else _OTHER_NAME[key]

    def noisy() -> torch.Tensor:
        rows = batch[stored]
        return rows + noise.piece(step, len(rows))

    builders = {name: functools.partial(batch.__getitem__, name) for name in batch}
    return Batch({**builders, stored: noisy})


def _same(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def edge_batch(
    entries: Entries, row: torch.Tensor, col: torch.Tensor, slots: int, data_key: str = "main"
) -> Batch:
    """A batch of edges as paraDime gives it to a loss.

    'row' and 'col' int64 (edges,) are the ends of the edges, 'rel' float32 (edges,) is 1 for the
    first, positive one of each `slots` edges, 'from_to_data' (2, edges, ...) holds the rows of
    both ends, 'indices' the distinct points in ascending order; every other entry has the rows of
    'indices'.
    """

    @functools.cache
    def indices() -> torch.Tensor:
        # A device does not know how many there are before it has counted them: only on demand.
        distinct: torch.Tensor = torch.cat((row, col)).unique()
        return distinct

    def rel() -> torch.Tensor:
        positive = torch.zeros(len(row), device=row.device)
        positive[::slots] = 1.0
        return positive

    def from_to_data() -> torch.Tensor:
        both = rows_of(entries, data_key, torch.cat((row, col)))
        return both.view(2, len(row), *both.shape[1:])

    def distinct_rows(key: str) -> torch.Tensor:
        return rows_of(entries, key, indices())

    builders = {key: functools.partial(distinct_rows, key) for key in entries}
    return Batch(
        {
            **builders,
            "indices": indices,
            "row": functools.partial(_same, row),
            "col": functools.partial(_same, col),
            "rel": rel,
            "from_to_data": from_to_data,
        }
    )


@dataclass
class NegativeEdgeBatches:
    """Batches of positive edges with their negative ones.

    Parameters
    ----------
    entries : mapping of tensors (n, ...)
    sampler : EdgeSampler
    batch_size, negatives : int
        Positive edges of a batch and negative edges to each.
    data_key : str
        The entry that 'from_to_data' is taken from.
    shared : bool
        Whether negative edges end at ends of the batch's own positive edges instead of any point.
    copies : int32 tensor (m,), optional
        The points that negative edges end at, each as often as its weight says, where the sampler
        draws from m of them.
    """

    entries: Entries
    sampler: EdgeSampler
    batch_size: int
    negatives: int
    data_key: str = "main"
    shared: bool = False
    copies: torch.Tensor | None = None

    def draw(self, step: int | torch.Tensor) -> torch.Tensor:
        """The ends of a step's edges; a tensor is read when the draw runs.

        See `EdgeSampler.draw_ends`.
        """
        ends = self.sampler.draw_ends(self.batch_size, self.negatives, step)
        if self.shared:
            tails = ends[self.batch_size :].view(self.batch_size, -1)
            known = torch.cat((ends[: self.batch_size], tails[:, 0]))
            # A uniform draw from n points is one from the ends too, once scaled.
            tails[:, 1:] = known[tails[:, 1:].long() * len(known) // self.sampler.n]
        elif self.copies is not None:
            tails = ends[self.batch_size :].view(self.batch_size, -1)
            tails[:, 1:] = self.copies[tails[:, 1:].long()]
        return ends

    def batch(self, step: int) -> Batch:
        """The batch of a step; see `edge_batch`."""
        heads, col = self.draw(step).long().tensor_split((self.batch_size,))
        row = heads.repeat_interleave(1 + self.negatives)
        return edge_batch(self.entries, row, col, 1 + self.negatives, self.data_key)
