"""What is stored for many rotations, in as few calls as Parameter Store allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING

from rotator import status
from rotator.errors import MORE_TIME, ParameterStoreError, RotatorError
from rotator.model import Rotation, Stored
from rotator.ports import ParameterStore

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

READERS = 2
"""Calls at a time. Documents come one page after another, and a page of ten is two of these calls."""

ROTATIONS_PER_READ = 5
"""GetParameters takes ten names, and a rotation has two."""

Found = Mapping[str, Stored | RotatorError]


def forever() -> float:
    """More seconds than anything takes."""
    return math.inf


def read_stored(
    rotations: Sequence[Rotation], parameters: ParameterStore, *, time_left: Callable[[], float] = forever
) -> Found:
    """Read token and status of every rotation, by its name. See StoredReader for what an error means."""
    with StoredReader(parameters, time_left=time_left) as reader:
        for rotation in rotations:
            reader.add(rotation)
        return reader.of(rotations)


class StoredReader(AbstractContextManager["StoredReader"]):
    """Reads token and status of five rotations a call, while whoever adds them goes on to find more.

    Whose call fails, or does not begin in the ``time_left`` (seconds), is found with an error.
    """

    def __init__(self, parameters: ParameterStore, *, time_left: Callable[[], float] = forever) -> None:
        self._parameters = parameters
        self._time_left = time_left
        self._waiting: list[Rotation] = []
        self._names: set[str] = set()
        self._unreachable: ParameterStoreError | None = None
        self._reading: list[Future[Found]] = []

    def add(self, rotation: Rotation) -> None:
        """Have one more read."""
        names = {rotation.parameter_name, rotation.status_name}
        if len(self._waiting) == ROTATIONS_PER_READ or names & self._names:  # a name stands in a call once
            self._reading.append(self._pool.submit(self._read, self._waiting))
            self._waiting, self._names = [], set()
        self._waiting.append(rotation)
        self._names |= names

    def of(self, rotations: Iterable[Rotation]) -> Found:
        """Return what is stored for these, by their names, once all that were added have been read."""
        found: dict[str, Stored | RotatorError] = dict(self._read(self._waiting))
        for reading in self._reading:
            found |= reading.result()
        if self._reading:  # by several at once, which may have been too much
            found |= self._read_again([r for r in rotations if _is_passing(found[r.parameter_name])])
        return {rotation.name: found[rotation.parameter_name] for rotation in rotations}

    def _read_again(self, rotations: Sequence[Rotation]) -> Found:
        """Read one call at a time, which is within any account's rate, until one fails again."""
        found: dict[str, Stored | RotatorError] = {}
        for start in range(0, len(rotations), ROTATIONS_PER_READ):
            found |= self._read(rotations[start : start + ROTATIONS_PER_READ])
            if any(map(_is_passing, found.values())):
                break
        return found

    def __exit__(self, *_: object) -> None:
        """Begin with nothing more."""
        if self._reading:
            self._pool.shutdown(cancel_futures=True)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor  # a single rotation does without

        return ThreadPoolExecutor(max_workers=READERS)

    def _read(self, batch: Sequence[Rotation]) -> Found:
        """Read a batch, by the tokens' parameters: names may be those of two documents."""
        if not batch:
            return {}
        if self._unreachable or self._time_left() <= 0:
            return _all(batch, self._unreachable or _not_read())
        try:
            found = self._parameters.read([n for r in batch for n in (r.parameter_name, r.status_name)])
        except ParameterStoreError as error:
            if error.unreachable:
                self._unreachable = error  # the next call would hang as long, and the run be cut off
            if error.unreachable or error.passing or len(batch) == 1:
                return _all(batch, error)
            # One denied or unusable name makes AWS refuse the whole call.
            return {name: each for r in batch for name, each in self._read([r]).items()}
        stored: dict[str, Stored | RotatorError] = {}
        for rotation in batch:
            try:
                stored[rotation.parameter_name] = status.read(rotation, found)
            except ParameterStoreError as error:
                stored[rotation.parameter_name] = error
        return stored


def _is_passing(found: Stored | RotatorError) -> bool:
    return isinstance(found, ParameterStoreError) and found.passing


def _all(batch: Sequence[Rotation], error: RotatorError) -> Found:
    return {rotation.parameter_name: error for rotation in batch}


def _not_read() -> ParameterStoreError:
    return ParameterStoreError(
        "the run's time was over before the parameters could be read",
        advice=f"{MORE_TIME}, or give fewer rotations to one stack",
    )
