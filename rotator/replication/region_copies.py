"""Copies tokens to one replica Region in threads of its own, so that no Region waits for another."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Lock

from rotator.errors import ParameterStoreError, Retry, RotatorError, as_rotator_error
from rotator.fleet.state_reader import StoredByName, read_stored
from rotator.fleet.write_rate import WriteRate
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Rotation
from rotator.renewal.ports import ParameterStore, Run
from rotator.replication import replica as replica_copy
from rotator.replication.replica import ReplicaState

logger = logging.getLogger(__name__)

LONGEST_CALL_SECONDS = 11.0
"""The longest call to a replica Region, including retries (adapters.runtime.aws_client.TWO_ATTEMPTS)."""

REPORT_RESERVE_SECONDS = 1.0
"""The time that the wait for replicas leaves to the run, which must report before Lambda stops it."""

COPIES_AT_A_TIME = 2
"""Concurrent copies to one Region, so that a renewed token does not wait for replicas that are behind."""


@dataclass(frozen=True, kw_only=True)
class Replica:
    """A replica Region: a function that opens its Parameter Store, and the limit on writes there."""

    region: str
    open: Callable[[], ParameterStore]
    write_rate: WriteRate


def read_replica(
    replica: Replica, rotations: Sequence[Rotation], deadline: Deadline | None = None
) -> StoredByName:
    """Return the stored state of each rotation in a replica Region, by name."""
    try:
        store = replica.open()
    except Exception as error:  # noqa: BLE001 - a defect in one Region must not stop the others
        return dict.fromkeys((r.name for r in rotations), as_rotator_error(error, replica.region))
    return read_stored(rotations, store, deadline=deadline)


def replica_states(
    rotations: Sequence[Rotation], regions: Sequence[Replica], home: StoredByName
) -> Iterator[tuple[Rotation, tuple[ReplicaState, ...]]]:
    """Yield each rotation with the state of its replica in each Region, compared with the home Region."""
    stored = {replica.region: read_replica(replica, rotations) for replica in regions}
    for rotation in rotations:
        name = rotation.name
        states = (replica_copy.state_of(region, home[name], there[name]) for region, there in stored.items())
        yield rotation, tuple(states)


class RegionCopies:
    """The copies of a run to one Region; ``errors`` has the reason for each that is behind at the end."""

    def __init__(self, replica: Replica, home: ParameterStore, run: Run) -> None:
        self.region = replica.region
        self.errors: dict[str, RotatorError] = {}
        self._replica = replica
        self._home = home
        self._run = run
        # Lambda freezes threads at the end of a run. In the next one, a call could still send an old token.
        self._deadline = run.deadline.earlier_by(min(LONGEST_CALL_SECONDS, run.budget / 2))
        self._pool = ThreadPoolExecutor(max_workers=COPIES_AT_A_TIME)
        self._tasks: list[Future[None]] = []
        self._pending: list[str] = []
        self._failed: dict[str, RotatorError] = {}
        self._rotation_locks: dict[str, Lock] = defaultdict(Lock)
        self._slot_lock = Lock()
        self._settling = Lock()  # ``finish`` may run while a copy settles
        self._unreachable: RotatorError | None = None

    def copy(self, rotation: Rotation) -> None:
        """Start copying a token, if its replica is behind."""
        self._pending.append(rotation.name)
        self._tasks.append(self._pool.submit(self._copy, rotation))

    def compare(self, rotations: Sequence[Rotation], home: StoredByName) -> None:
        """Start comparing valid tokens with their replicas, five per call, and copy those that are behind."""
        self._pending.extend(rotation.name for rotation in rotations)
        self._tasks.append(self._pool.submit(self._compare, rotations, home))

    def finish(self) -> None:
        """Wait until all copies are done, or until the run must report."""
        wait(self._tasks, timeout=max(0.0, self._run.deadline.remaining() - REPORT_RESERVE_SECONDS))
        self._pool.shutdown(wait=False, cancel_futures=True)
        no_answer = ParameterStoreError(
            "Parameter Store did not respond before the end of the run",
            advice="check the AWS Health Dashboard for that Region",
            retry=Retry.NEXT_RUN,
        )
        with self._settling:
            self.errors = {**self._failed, **dict.fromkeys(self._pending, no_answer)}

    def warnings(self) -> Iterator[str]:
        """Yield a warning with the reason for each replica that is behind."""
        for name, error in sorted(self.errors.items()):
            yield f"rotation {name}: its replica in {self.region} could not be updated: {error}"

    def _compare(self, rotations: Sequence[Rotation], home: StoredByName) -> None:
        found = read_replica(self._replica, rotations, self._deadline)
        for rotation in rotations:
            state = replica_copy.state_of(self.region, home[rotation.name], found[rotation.name])
            if state.behind:
                self._copy(rotation)
            else:
                self._settle(rotation, state.error)

    def _copy(self, rotation: Rotation) -> None:
        try:
            if self._unreachable:
                raise self._unreachable.again()
            store = self._replica.open()
            with self._rotation_locks[rotation.name]:  # the token renewed by this run is copied last
                written = replica_copy.copy(
                    rotation, self.region, self._home, store, self._deadline, before_write=self._wait_for_slot
                )
        except Exception as error:  # noqa: BLE001 - a defect in one copy must not stop the others
            known = as_rotator_error(error, f"the copy of rotation {rotation.name} to {self.region}").again()
            if isinstance(known, ParameterStoreError) and known.unreachable:
                self._unreachable = known  # the next call would time out, too
            self._settle(rotation, known)
        else:
            if written:
                logger.info("rotation %s: its replica in %s was written", rotation.name, self.region)
            self._settle(rotation, None)

    def _wait_for_slot(self) -> None:
        """Wait until the write rate allows the writes of another copy."""
        rate = self._replica.write_rate
        with self._slot_lock:
            delay = rate.delay()
            if delay > self._deadline.remaining():
                raise replica_copy.postponed()
            time.sleep(delay)
            rate.count_renewal()

    def _settle(self, rotation: Rotation, error: RotatorError | None) -> None:
        """Record the result of a copy, which is pending until then."""
        with self._settling:
            if error:
                self._failed[rotation.name] = error
            else:
                self._failed.pop(rotation.name, None)
            self._pending.remove(rotation.name)
