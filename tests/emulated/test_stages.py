"""Every order in which the two sides of warpgroup_search.cuh can pass their barriers."""

from __future__ import annotations

from typing import NamedTuple

import pytest

Barriers = tuple[tuple[int, int], ...]  # of each stage: phases that are over, arrivals in the next


class State(NamedTuple):
    fetched: int  # slices
    places: tuple[int, ...]  # of each warp in its list of steps
    full: Barriers
    empty: Barriers


def passes(barrier: tuple[int, int], parity: int) -> bool:
    """What mbarrier.try_wait.parity says: the present phase has the other parity."""
    return barrier[0] % 2 != parity


def arrive(barriers: Barriers, stage: int, count: int) -> Barriers:
    over, arrived = barriers[stage]
    mine = (over + 1, 0) if arrived + 1 == count else (over, arrived + 1)
    return (*barriers[:stage], mine, *barriers[stage + 1 :])


def steps_of_a_warp(tiles: int, slices: int) -> list[tuple[str, int]]:
    """Slices that it waits for and gives back: the one before while products of the next run."""
    steps = []
    for tile in range(tiles):
        for part in range(slices):
            at = tile * slices + part
            steps.append(("wait", at))
            if part > 0:
                steps.append(("release", at - 1))
        steps.append(("release", tile * slices + slices - 1))
    return steps


def following(state: State, stages: int, steps: list[tuple[str, int]], last: int) -> list[State]:
    found = []
    warps = len(state.places)
    if state.fetched < last:
        stage, parity = state.fetched % stages, state.fetched // stages % 2
        if passes(state.empty[stage], parity ^ 1):
            overwritten = state.fetched - stages
            released = [
                {at for kind, at in steps[:place] if kind == "release"} for place in state.places
            ]
            assert overwritten < 0 or all(overwritten in done for done in released)
            full = arrive(state.full, stage, 1)
            found.append(state._replace(fetched=state.fetched + 1, full=full))
    for warp, place in enumerate(state.places):
        if place == len(steps):
            continue
        kind, at = steps[place]
        places = (*state.places[:warp], place + 1, *state.places[warp + 1 :])
        if kind == "release":
            empty = arrive(state.empty, at % stages, warps)
            found.append(state._replace(places=places, empty=empty))
        elif passes(state.full[at % stages], at // stages % 2):
            assert at < state.fetched <= at + stages  # it has come, and stays
            found.append(state._replace(places=places))
    return found


def ends_of(stages: int, warps: int, tiles: int, slices: int) -> set[bool]:
    """Whether all was done, in each state from which nothing leads on."""
    none = ((0, 0),) * stages
    steps, last = steps_of_a_warp(tiles, slices), tiles * slices
    waiting = [State(0, (0,) * warps, none, none)]
    seen, ends = set(waiting), set()
    while waiting:
        state = waiting.pop()
        new = following(state, stages, steps, last)
        if not new:
            ends.add(state.fetched == last and set(state.places) == {len(steps)})
        waiting += [state for state in new if state not in seen]
        seen.update(new)
    return ends


@pytest.mark.parametrize("slices", [1, 2, 3, 5])
@pytest.mark.parametrize(("stages", "warps"), [(2, 1), (2, 3), (3, 2), (4, 2), (4, 3), (5, 2)])
def test_no_order_waits_forever_or_overwrites(stages: int, warps: int, slices: int) -> None:
    tiles = max(2, -(-(2 * stages + 1) // slices))  # each stage's barriers come round twice
    assert ends_of(stages, warps, tiles, slices) == {True}


def test_the_model_sees_a_wait_without_end() -> None:
    """One stage cannot hold a slice while the next is fetched."""
    assert ends_of(1, 2, 2, 2) == {False}
