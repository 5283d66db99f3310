"""Reading the stored state of multiple rotations: in few calls, without useless retries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from threading import Event, Thread, current_thread

import pytest

from fake_ports import CANARY_SECRET, START, FakeParameterStore, rotation
from rotator.errors import ParameterStoreError, RotatorError
from rotator.fleet.state_reader import DEFAULT_READERS, StoredReader, read_stored
from rotator.renewal.deadline import Deadline
from rotator.renewal.lease_text import LeaseText
from rotator.renewal.models import Parameter, Rotation, Stored


def members(count: int) -> list[Rotation]:
    return [rotation(name=str(number), parameter_name=f"/fleet/{number}") for number in range(count)]


@pytest.mark.parametrize("leases_at", [None, START])
@pytest.mark.parametrize("readers", [0, DEFAULT_READERS])
def test_calling_thread_reads_when_there_are_no_readers(readers: int, leases_at: datetime | None) -> None:
    class Watched(FakeParameterStore):
        def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
            threads.add(current_thread())
            return super().read(names)

    threads: set[Thread] = set()
    found = read_stored(members(20), Watched(), readers=readers, leases_at=leases_at)
    assert len(found) == 20
    assert all(isinstance(each, Stored) for each in found.values())
    assert (threads == {current_thread()}) is not bool(readers)


def test_overwritten_lease_is_found_in_earlier_versions() -> None:
    store = FakeParameterStore()
    for rotation_ in members(2):
        store.put_lease(rotation_, expires_at=START + timedelta(minutes=1))
        lost = LeaseText(run="loser", read_version=0, expires_at=START + timedelta(minutes=1))
        store.put(rotation_.lease_name, lost.dump(), "String")
    for found in read_stored(members(2), store, leases_at=START).values():
        assert isinstance(found, Stored)
        assert found.lease.held_until == START + timedelta(minutes=1)


def test_unforeseen_error_in_stored_data_logs_the_rotation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = FakeParameterStore()
    store.read_versions = None  # type: ignore[method-assign,assignment]
    for rotation_ in members(2):
        lost = LeaseText(run="loser", read_version=0, expires_at=START)
        for _ in range(2):
            store.put(rotation_.lease_name, lost.dump(), "String")
    read_stored(members(2), store, leases_at=START)
    assert "unexpected TypeError in the stored state of rotation 1\n" in caplog.text


@pytest.mark.parametrize(("count", "calls"), [(0, 0), (1, 1), (5, 1), (6, 2), (11, 3), (1000, 200)])
def test_five_rotations_are_read_per_call(count: int, calls: int) -> None:
    store = FakeParameterStore()
    assert read_stored(members(count), store).keys() == {str(number) for number in range(count)}
    assert store.reads == calls


class Failing(FakeParameterStore):
    """A store that refuses every call that contains one of the given names."""

    def __init__(self, *, times: int = 1000, **kind: bool) -> None:
        super().__init__()
        self.error: Exception = ParameterStoreError("it failed", advice="fix it", **kind)  # type: ignore[arg-type]
        self.times = times

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        found = super().read(names)
        if "/fleet/3" in names and self.times:
            self.times -= 1
            raise self.error
        return found


def test_failed_parameter_fails_only_its_own_rotation() -> None:
    store = Failing()
    stored = dict(read_stored(members(8), store))
    assert stored.pop("3") is store.error
    assert all(isinstance(found, Stored) for found in stored.values())


def test_foreign_response_fails_its_call_and_is_not_retried() -> None:
    """The responder between the job and AWS may stay there, so only the next run tries again."""
    store = Failing(foreign=True, times=1)
    stored = read_stored(members(8), store)
    assert [name for name, found in stored.items() if found is store.error] == ["0", "1", "2", "3", "4"]
    assert store.reads == 2


def test_unforeseen_error_fails_one_rotation_and_hides_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Failing()
    store.error = KeyError(CANARY_SECRET)
    stored = dict(read_stored(members(8), store))
    failed = stored.pop("3")
    assert isinstance(failed, RotatorError)
    assert "unexpected KeyError" in str(failed)
    assert "unexpected KeyError in a read of parameters\n" in caplog.text
    assert all(isinstance(found, Stored) for found in stored.values())
    assert CANARY_SECRET not in caplog.text + repr(failed)


def test_unreachable_store_stops_further_calls() -> None:
    """Each further call would time out as well, and Lambda would stop the run before it reports the cause."""
    store = Failing(unreachable=True)
    stored = read_stored(members(100), store)
    assert stored["3"] is store.error
    assert stored["99"] is store.error
    assert store.reads < 4


def test_no_call_begins_when_time_is_over() -> None:
    store = FakeParameterStore()
    left = iter([1.0, 0.0])
    stored = read_stored(members(10), store, deadline=Deadline(lambda: next(left, 0.0)))
    assert store.reads == 1
    errors = [found for found in stored.values() if isinstance(found, ParameterStoreError)]
    assert len(errors) == 5
    assert str(errors[0]) == (
        "the run's time ran out before its parameters were read; "
        "raise TimeoutSeconds of the stack, or move rotations to another stack"
    )


def test_throttled_call_is_retried_once() -> None:
    store = Failing(transient=True, times=1)
    stored = read_stored(members(23), store)
    assert all(isinstance(found, Stored) for found in stored.values())
    assert store.reads == 6


@pytest.mark.parametrize(("leases_at", "calls"), [(None, 5), (START, 8)])
def test_all_calls_are_retried_once_if_all_were_throttled(leases_at: datetime | None, calls: int) -> None:
    class Throttled(FakeParameterStore):
        def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
            found = super().read(names)
            if self.reads <= calls:
                raise ParameterStoreError("it failed", advice="wait", transient=True)
            return found

    store = Throttled()
    stored = read_stored(members(23), store, leases_at=leases_at)
    assert stored.keys() == {str(number) for number in range(23)}
    assert all(isinstance(found, Stored) for found in stored.values())
    assert store.reads == 2 * calls


def test_call_throttled_twice_fails_its_rotations() -> None:
    store = Failing(transient=True)
    stored = read_stored(members(8), store)
    assert [name for name, found in stored.items() if found is store.error] == ["0", "1", "2", "3", "4"]
    assert store.reads == 3


def test_reading_begins_while_rotations_are_still_being_found() -> None:
    store = FakeParameterStore()
    with StoredReader(store) as reader:
        for each in members(7):
            reader.add(each)
        assert len(reader._reading) == 1
        assert reader.of(members(7)).keys() == {str(number) for number in range(7)}


def test_documents_with_the_same_name_keep_separate_state() -> None:
    store = FakeParameterStore()
    store.put("/fleet/a", "token", "SecureString")
    one, other = (rotation(name="same", parameter_name=f"/fleet/{letter}") for letter in "ab")
    with StoredReader(store) as reader:
        reader.add(one)
        reader.add(other)
        found = reader.of([one])["same"]
    assert isinstance(found, Stored)
    assert found.token_version == 1


def test_newer_status_schema_fails_only_its_own_rotation() -> None:
    store = FakeParameterStore()
    store.put("/fleet/1/status", '{"schema": 2}', "String")
    stored = read_stored(members(2), store)
    assert isinstance(stored["0"], Stored)
    assert isinstance(stored["1"], ParameterStoreError)


def test_failed_search_shuts_down_the_reader_pool() -> None:
    store = FakeParameterStore()
    reader = StoredReader(store)
    with pytest.raises(ZeroDivisionError), reader:
        fail_after_some(reader)
    assert reader._pool._shutdown


def test_failed_search_begins_no_further_calls() -> None:
    last_done = Event()

    class Slow(FakeParameterStore):
        def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
            last_done.wait(1)
            return super().read(names)

    store = Slow()
    reader = StoredReader(store)
    with pytest.raises(ZeroDivisionError), reader:
        fail_after_some(reader, last_done)
    assert store.reads <= DEFAULT_READERS


def fail_after_some(reader: StoredReader, last_done: Event | None = None) -> None:
    """Fail while most calls are pending; set the event when the last call is done or was cancelled."""
    for each in members(50):
        reader.add(each)
    if last_done:
        future: Future[object] = reader._reading[-1].__self__  # type: ignore[attr-defined]
        future.add_done_callback(lambda _call: last_done.set())
    raise ZeroDivisionError


def test_call_contains_each_parameter_name_once() -> None:
    """A document may name the status of another rotation, and both are read before either is refused."""
    asked: list[list[str]] = []

    class Watched(FakeParameterStore):
        def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
            asked.append(list(names))
            return super().read(names)

    parameters = ("/fleet/a", "/fleet/a", "/fleet/a/status", "/fleet/b", "/fleet/c", "/fleet/b")
    rotations = [rotation(name=str(n), parameter_name=p) for n, p in enumerate(parameters)]
    assert read_stored(rotations, Watched()).keys() == set("012345")
    assert all(len(names) == len(set(names)) for names in asked)


def test_single_throttled_call_is_not_retried() -> None:
    """The SDK has already retried the call."""
    store = Failing(transient=True)
    assert read_stored(members(5), store)["3"] is store.error
    assert store.reads == 1


def test_failed_retry_stops_further_retries() -> None:
    class Down(FakeParameterStore):
        def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
            super().read(names)
            raise ParameterStoreError("it failed", advice="wait", transient=True)

    store = Down()
    assert len(read_stored(members(100), store)) == 100
    assert store.reads == 21
