"""What is stored for many rotations, in as few calls as Parameter Store allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from rotator import status
from rotator.errors import ParameterStoreError, RotatorError
from rotator.model import Rotation, Stored
from rotator.ports import ParameterStore

READERS = 8
"""Calls at a time."""

ROTATIONS_PER_READ = 5
"""GetParameters takes ten names, and a rotation has two."""

Found = dict[str, Stored | RotatorError]


def read_stored(
    rotations: Sequence[Rotation],
    parameters: ParameterStore,
    *,
    time_left: Callable[[], float] = lambda: math.inf,
) -> Found:
    """Read token and status of every rotation by name, five rotations a call.

    Whose call fails, or does not begin in the time left (seconds), is found with an error.
    """

    def read(batch: Sequence[Rotation]) -> Found:
        if time_left() <= 0:
            return dict.fromkeys((rotation.name for rotation in batch), _not_read())
        return _read_batch(batch, parameters)

    batches = list(_batches(rotations, ROTATIONS_PER_READ))
    if len(batches) < 2:
        found = map(read, batches)
        return {name: each for part in found for name, each in part.items()}
    with ThreadPoolExecutor(max_workers=min(READERS, len(batches))) as pool:
        return {name: each for part in pool.map(read, batches) for name, each in part.items()}


def _batches(rotations: Sequence[Rotation], size: int) -> Iterator[list[Rotation]]:
    rest = iter(rotations)
    while batch := list(islice(rest, size)):
        yield batch


def _read_batch(batch: Sequence[Rotation], parameters: ParameterStore) -> Found:
    """One denied name makes AWS refuse the whole call: then they are read one by one."""
    try:
        found = parameters.read([name for r in batch for name in (r.parameter_name, r.status_name)])
    except ParameterStoreError as error:
        if error.denied and len(batch) > 1:
            return {name: each for r in batch for name, each in _read_batch([r], parameters).items()}
        return dict.fromkeys((rotation.name for rotation in batch), error)
    stored: Found = {}
    for rotation in batch:
        try:
            stored[rotation.name] = status.read(rotation, found)
        except ParameterStoreError as error:
            stored[rotation.name] = error
    return stored


def _not_read() -> ParameterStoreError:
    return ParameterStoreError(
        "the run's time was over before the parameters could be read",
        advice="give the function more time (TimeoutSeconds), or fewer rotations to one stack",
    )
