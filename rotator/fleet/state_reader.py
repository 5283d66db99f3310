"""What is stored for many rotations, in as few calls as Parameter Store allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from rotator.errors import MORE_TIME, ParameterStoreError, RotatorError, as_rotator_error
from rotator.renewal import status
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Parameter, Rotation, Stored
from rotator.renewal.ports import NAMES_PER_CALL, ParameterStore

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

DEFAULT_READERS = 2
"""Calls at a time. Documents come one page after another, and a page of ten is two of these calls."""

Found = Mapping[str, Stored | RotatorError]


def read_stored(
    rotations: Sequence[Rotation],
    parameters: ParameterStore,
    *,
    leases_at: datetime | None = None,
    deadline: Deadline | None = None,
    readers: int = DEFAULT_READERS,
) -> Found:
    """Return what is stored for every rotation, by its name; see StoredReader."""
    with StoredReader(parameters, leases_at=leases_at, deadline=deadline, readers=readers) as reader:
        for rotation in rotations:
            reader.add(rotation)
        return reader.of(rotations)


class StoredReader(AbstractContextManager["StoredReader"]):
    """Reads token and status of five rotations a call, while the caller goes on to find and add more.

    With a time (UTC) in ``leases_at`` it reads the leases, too, of three rotations a call, and judges them by
    that time. A rotation whose call fails, or does not begin before the ``deadline``, is found with an
    error. So many ``readers`` are threads that call at a time; without one, the caller itself does.
    """

    def __init__(
        self,
        parameters: ParameterStore,
        *,
        leases_at: datetime | None = None,
        deadline: Deadline | None = None,
        readers: int = DEFAULT_READERS,
    ) -> None:
        self._parameters = parameters
        self._readers = readers
        self._leases_at = leases_at
        self._deadline = deadline
        self._waiting: list[Rotation] = []
        self._names: set[str] = set()
        self._unreachable: ParameterStoreError | None = None
        self._reading: list[Future[Found]] = []
        self._known: dict[str, Stored | RotatorError] = {}

    def add(self, rotation: Rotation) -> None:
        """Have one more read."""
        names = set(self._names_of(rotation))
        is_full = len(self._names) + len(names) > NAMES_PER_CALL
        if is_full or names & self._names:  # a name stands in a call once
            self._begin_reading()
            self._waiting, self._names = [], set()
        self._waiting.append(rotation)
        self._names |= names

    def of(self, rotations: Iterable[Rotation]) -> Found:
        """Return what is stored for these, by their names, once all that were added have been read."""
        found: dict[str, Stored | RotatorError] = {**self._known, **self._read(self._waiting)}
        for reading in self._reading:
            found |= reading.result()
        if self._reading or self._known:  # several calls, which may have been too much
            found |= self._read_again([r for r in rotations if _is_transient(found[r.parameter_name])])
        return {rotation.name: found[rotation.parameter_name] for rotation in rotations}

    def _begin_reading(self) -> None:
        if self._readers:
            self._reading.append(self._pool.submit(self._read, self._waiting))
        else:
            self._known |= self._read(self._waiting)

    def _read_again(self, rotations: Sequence[Rotation]) -> Found:
        """Read one call at a time, which is within any account's rate, until one fails again."""
        found: dict[str, Stored | RotatorError] = {}
        size = NAMES_PER_CALL // (3 if self._leases_at else 2)
        for start in range(0, len(rotations), size):
            found |= self._read(rotations[start : start + size])
            if any(map(_is_transient, found.values())):
                break
        return found

    def __exit__(self, *_: object) -> None:
        """Begin with nothing more."""
        if self._reading:
            self._pool.shutdown(cancel_futures=True)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor  # a single rotation does without

        return ThreadPoolExecutor(max_workers=self._readers)

    def _read(self, batch: Sequence[Rotation]) -> Found:
        """Read a batch, by the tokens' parameters: names may be those of two documents."""
        if not batch:
            return {}
        if self._unreachable or (self._deadline and self._deadline.remaining() <= 0):
            return _all(batch, self._unreachable or _not_read())
        try:
            found = self._parameters.read([name for r in batch for name in self._names_of(r)])
        except Exception as error:  # noqa: BLE001 - a defect in one reading may not stop the others
            return self._failed(batch, as_rotator_error(error, "the reading of parameters"))
        return {rotation.parameter_name: self._parse(rotation, found) for rotation in batch}

    def _failed(self, batch: Sequence[Rotation], error: RotatorError) -> Found:
        """Return the error of a call, unless it may be that of one rotation alone: then read each by itself.

        One denied or unusable name makes AWS refuse the whole call.
        """
        if isinstance(error, ParameterStoreError):
            if error.unreachable:
                self._unreachable = error  # the next call would hang as long, and the run be cut off
            if error.is_unavailable:
                return _all(batch, error)
        if len(batch) == 1:
            return _all(batch, error)
        return {name: each for r in batch for name, each in self._read([r]).items()}

    def _names_of(self, rotation: Rotation) -> tuple[str, ...]:
        return rotation.parameter_names if self._leases_at else rotation.parameter_names[:2]

    def _parse(self, rotation: Rotation, found: Mapping[str, Parameter]) -> Stored | RotatorError:
        try:
            stored = status.read(rotation, found)
            if self._leases_at:
                from rotator.renewal import lease  # most runs renew nothing

                return lease.with_lease(rotation, stored, found, self._parameters, self._leases_at)
        except Exception as error:  # noqa: BLE001 - likewise
            return as_rotator_error(error, f"what is stored for rotation {rotation.name}")
        return stored


def _is_transient(found: Stored | RotatorError) -> bool:
    return isinstance(found, ParameterStoreError) and found.transient


def _all(batch: Sequence[Rotation], error: RotatorError) -> Found:
    return {rotation.parameter_name: error for rotation in batch}


def _not_read() -> ParameterStoreError:
    return ParameterStoreError(
        "the run's time was over before the parameters could be read",
        advice=f"{MORE_TIME}, or give fewer rotations to one stack",
    )
