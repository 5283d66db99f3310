"""Reads the stored state of multiple rotations, in as few calls as Parameter Store allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from rotator.errors import MORE_TIME, ParameterStoreError, RotatorError, as_rotator_error
from rotator.renewal import status
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Parameter, Rotation, Stored
from rotator.renewal.ports import NAMES_PER_CALL, ParameterStore

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

DEFAULT_READERS = 2
"""Concurrent calls. Documents are read one page at a time; a page of ten needs two of these calls."""

StoredByName = Mapping[str, Stored | RotatorError]


def read_stored(rotations: Sequence[Rotation], parameters: ParameterStore, **options: Any) -> StoredByName:
    """Return the stored state of every rotation, by name; see StoredReader for the options."""
    with StoredReader(parameters, **options) as reader:
        for rotation in rotations:
            reader.add(rotation)
        return reader.of(rotations)


@dataclass(eq=False)
class StoredReader(AbstractContextManager["StoredReader"]):
    """Reads token and status of five rotations per call, while the caller adds more rotations.

    A rotation whose call fails, or does not begin before the deadline, is returned with an error.
    """

    parameters: ParameterStore
    _: KW_ONLY
    leases_at: datetime | None = None  # if given, leases are read as of this time, of three rotations a call
    deadline: Deadline | None = None  # no call begins later
    readers: int = DEFAULT_READERS  # the threads that read; with 0, the calling thread reads

    def __post_init__(self) -> None:
        """Begin without rotations."""
        self._batch: list[Rotation] = []
        self._reading: list[Callable[[], StoredByName]] = []
        self._unreachable: ParameterStoreError | None = None

    def add(self, rotation: Rotation) -> None:
        """Add a rotation to read."""
        names = [name for each in (*self._batch, rotation) for name in self._names_of(each)]
        if len(names) > NAMES_PER_CALL or len(names) > len(set(names)):  # a call may contain a name only once
            read = partial(self._read, self._batch)
            self._reading.append(self._pool.submit(read).result if self.readers else read)
            self._batch = []
        self._batch.append(rotation)

    def of(self, rotations: Iterable[Rotation]) -> StoredByName:
        """Return the stored state of these rotations, by name, once all added rotations have been read."""
        found = dict(self._read(self._batch))
        for result in self._reading:
            found |= result()
        if self._reading:  # several calls may have exceeded the rate limit
            found |= self._read_again([r for r in rotations if _is_transient(found[r.parameter_name])])
        return {rotation.name: found[rotation.parameter_name] for rotation in rotations}

    def _read_again(self, rotations: Sequence[Rotation]) -> StoredByName:
        """Read again, one call at a time, which is within any rate limit; stop when a call fails again."""
        found: dict[str, Stored | RotatorError] = {}
        size = NAMES_PER_CALL // (3 if self.leases_at else 2)
        for start in range(0, len(rotations), size):
            found |= self._read(rotations[start : start + size])
            if any(map(_is_transient, found.values())):
                break
        return found

    def __exit__(self, *_: object) -> None:
        """Begin no more calls."""
        if self._reading and self.readers:
            self._pool.shutdown(cancel_futures=True)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor  # a single rotation needs no threads

        return ThreadPoolExecutor(max_workers=self.readers)

    def _read(self, batch: Sequence[Rotation]) -> StoredByName:
        """Return the stored state of a batch by token parameter, since two documents may share a name."""
        if not batch:
            return {}
        if self._unreachable or (self.deadline and self.deadline.remaining() <= 0):
            not_read = ParameterStoreError(
                "the run's time ran out before its parameters were read",
                advice=f"{MORE_TIME}, or move rotations to another stack",
            )
            return _all(batch, self._unreachable or not_read)
        try:
            found = self.parameters.read([name for r in batch for name in self._names_of(r)])
        except Exception as error:  # noqa: BLE001 - a defect in one call must not stop the others
            return self._failed(batch, as_rotator_error(error, "a read of parameters"))
        return {rotation.parameter_name: self._parse(rotation, found) for rotation in batch}

    def _failed(self, batch: Sequence[Rotation], error: RotatorError) -> StoredByName:
        """Return the error of a call for its batch; if one rotation may be the cause, read each by itself.

        AWS refuses the whole call if one of its names is denied or unusable.
        """
        if isinstance(error, ParameterStoreError) and error.unreachable:
            self._unreachable = error  # the next call would time out as well, and then the run
        if len(batch) == 1 or (isinstance(error, ParameterStoreError) and error.is_unavailable):
            return _all(batch, error)
        return {name: each for r in batch for name, each in self._read([r]).items()}

    def _names_of(self, rotation: Rotation) -> tuple[str, ...]:
        return rotation.parameter_names if self.leases_at else rotation.parameter_names[:2]

    def _parse(self, rotation: Rotation, found: Mapping[str, Parameter]) -> Stored | RotatorError:
        try:
            stored = status.read(rotation, found)
            if self.leases_at:
                from rotator.renewal import lease  # most runs renew nothing

                return lease.with_lease(rotation, stored, found, self.parameters, self.leases_at)
        except Exception as error:  # noqa: BLE001 - a defect in one rotation must not stop the others
            return as_rotator_error(error, f"the stored state of rotation {rotation.name}")
        return stored


def _is_transient(found: Stored | RotatorError) -> bool:
    return isinstance(found, ParameterStoreError) and found.transient


def _all(batch: Sequence[Rotation], error: RotatorError) -> StoredByName:
    return {rotation.parameter_name: error for rotation in batch}
