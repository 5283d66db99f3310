"""Makes a rotator from settings: the only module that connects adapters, settings and the job."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from threading import RLock
from typing import TYPE_CHECKING, Any

from rotator.adapters.runtime import aws_client
from rotator.config.environment import Settings, read_environment
from rotator.config.registry import Fleet, Registry
from rotator.errors import SettingsError
from rotator.fleet.run import run_fleet
from rotator.fleet.state_reader import StoredByName, StoredReader
from rotator.fleet.summary import shortened
from rotator.fleet.write_rate import WriteRate
from rotator.observability.counters import Counters
from rotator.renewal import policy
from rotator.renewal.deadline import Deadline
from rotator.renewal.guarantee import Guarantee
from rotator.renewal.models import Parameter, Rotation, Summary
from rotator.renewal.policy import RUN_BUDGET_SECONDS
from rotator.renewal.ports import ParameterStore, Ports, Run, SecretStore, TokenEndpoint

if TYPE_CHECKING:  # a scheduled run that finds every token fresh needs none of them
    from rotator.adapters.runtime.http_transport import HttpTransport
    from rotator.adapters.runtime.private_trust import PrivateTrust
    from rotator.replication.region_copies import Replica
    from rotator.workers.dispatch import WorkQueue
    from rotator.workers.queue_messages import Batch

OnFound = Callable[[Rotation], None]

LONGEST_WRITE_SECONDS = 30.0
"""The longest duration of a call to AWS, including retries (aws_client.CONFIG)."""

TOKEN_ENDPOINT_CONNECTIONS = 40
"""Open connections per host: one for each concurrent renewal (scheduler.MAX_RENEWALS)."""


def utc_now() -> datetime:
    """Return the time of the machine's clock (UTC)."""
    return datetime.now(UTC)


class Adapters:
    """The ports with real adapters, each made when it is first used.

    Most runs find every token fresh and need only Parameter Store. ``counters`` count requests and throttled
    writes; each throttled write lowers the ``write_rate``.
    """

    def __init__(self, counters: Counters | None = None, write_rate: WriteRate | None = None) -> None:
        self._lock = RLock()
        self._counters = counters or Counters()
        self._write_rate = write_rate

    @cached_property
    def parameters(self) -> ParameterStore:
        """SSM Parameter Store."""
        from rotator.adapters.runtime.parameter_store import SsmParameterStore

        return SsmParameterStore(aws_client.client("ssm"), on_throttled=self._slow_down)

    def _slow_down(self) -> None:
        self._counters.add(throttled_writes=1)
        if self._write_rate:
            self._write_rate.slow_down()

    @property
    def secrets(self) -> SecretStore:
        """AWS Secrets Manager."""
        with self._lock:
            return self._secrets

    @property
    def token_endpoint(self) -> TokenEndpoint:
        """The token endpoint over HTTP."""
        with self._lock:
            return self._token_endpoint

    @cached_property
    def _secrets(self) -> SecretStore:
        from rotator.adapters.runtime.secrets_manager import SecretsManager

        return SecretsManager(aws_client.client("secretsmanager"))

    @cached_property
    def _token_endpoint(self) -> TokenEndpoint:
        from rotator.adapters.runtime import kms
        from rotator.adapters.runtime.token_endpoint import HttpTokenEndpoint

        return HttpTokenEndpoint(
            make_transport(),
            now=utc_now,
            counters=self._counters,
            signer=partial(kms.sign, cache(lambda: aws_client.client("kms", kms.CONFIG))),
            private_trust=private_trust(self),
        )


def make_transport(certificates: str | None = None) -> HttpTransport:
    """Make the transport of HTTP requests; it trusts these certificates in addition to the public ones."""
    from rotator.adapters.runtime.http_transport import HttpTransport

    return HttpTransport(now=utc_now, connections=TOKEN_ENDPOINT_CONNECTIONS, certificates=certificates)


def private_trust(adapters: Adapters) -> PrivateTrust:
    """Return the factory of transports to endpoints whose certificate authority is in a parameter."""
    from rotator.adapters.runtime.private_trust import PrivateTrust

    return PrivateTrust(lambda: adapters.parameters, make_transport)


@dataclass(frozen=True)
class Rotator:
    """The job with its settings and ports, as the entry points run it.

    Attributes:
        counters: The counters that the ports increment.
        write_rate: The limit on writes.
        open_queue: Opens the workers' queue; None without workers.
        replicas: The Regions to which tokens are copied.
    """

    settings: Settings
    ports: Ports
    counters: Counters = field(default_factory=Counters)
    write_rate: WriteRate | None = None
    open_queue: Callable[[], WorkQueue] | None = None
    replicas: tuple[Replica, ...] = ()

    def fleet(self, names: Sequence[str] = ()) -> Fleet:
        """Return the rotations with these names, or all rotations.

        Raises:
            SettingsError: A name is unknown, or the path has no documents.
            ParameterStoreError: The documents cannot be read.
        """
        return self._find().only(names)

    def run(self, run: Run, names: Sequence[str] = (), **options: Any) -> Summary:
        """Serve the rotations with these names, or all rotations; raises the same errors as ``fleet``."""
        fleet, stored = (self.fleet(names), None) if names else self._find_with_stored(run)
        return self.run_fleet(fleet, run, stored=stored, **options)

    def run_fleet(self, fleet: Fleet, run: Run, **options: Any) -> Summary:
        """Serve these rotations and their replicas; see fleet.run.run_fleet for the options."""
        run = replace(run, expected_lifetime=self.settings.expected_lifetime)
        serve = partial(run_fleet, fleet, self.ports, run, self.guarantee, write_rate=self.write_rate)
        if not self.replicas or options.get("dry_run"):
            return serve(**options)
        from rotator.replication.run import serve_with_replicas

        home = self.ports.parameters
        return serve_with_replicas(serve, fleet.rotations, self.replicas, home, run, **options)

    def run_scheduled(self, run: Run) -> Summary:
        """Serve all rotations, or enqueue the due ones if there are workers.

        Raises the same errors as ``fleet``.
        """
        if self.open_queue is None:
            return self.run(run)
        from rotator.workers import dispatch

        fleet, stored = self._find_with_stored(run)
        summary = self.run_fleet(
            fleet, run, stored=stored, enqueue=partial(dispatch.enqueue, self.open_queue)
        )
        slow = dispatch.write_rate_warning(self.settings.writes_per_second, self.settings.workers, run)
        return replace(summary, warnings=(*summary.warnings, *slow))

    def work(self, run: Run, batch: Batch) -> Summary:
        """Serve the rotations that the messages of a batch name, and warn about names without a rotation.

        Raises:
            ParameterStoreError: The documents cannot be read.
        """
        from rotator.workers import queue_messages

        fleet = self._fleet_for_worker(batch.names)
        summary = self.run_fleet(fleet, run, shared=True)
        return replace(
            summary, warnings=(*summary.warnings, *shortened(queue_messages.warnings(batch, summary)))
        )

    @property
    def guarantee(self) -> Guarantee:
        """The remaining lifetime that consumers are guaranteed."""
        return Guarantee(
            schedule_interval=self.settings.schedule_interval,
            consumer_cache=self.settings.consumer_cache,
        )

    def check_overlap(self, fleet: Fleet) -> None:
        """Raise SettingsError if the settings alone show that the guarantee to consumers cannot hold.

        A single rotation that does not set a lifetime has the expected lifetime. With multiple rotations,
        that is the shortest lifetime of all, which need not be the lifetime of a given rotation.
        """
        expected = self.settings.token_lifetime if self.settings.rotation else None
        for rotation in fleet.rotations:
            lifetime = policy.asked_lifetime(rotation) or expected
            problem = self.guarantee.problem(lifetime, rotation.renew_at) if lifetime else None
            if problem:
                raise SettingsError(f"rotation {rotation.name}: {problem.problem}", advice=problem.advice)

    def registry(
        self, found: OnFound = lambda _rotation: None, retry_until: Deadline | None = None
    ) -> Registry:
        """Read all documents under the path, if it has any; call ``found`` with each rotation.

        Raises:
            ParameterStoreError: The documents cannot be read.
        """
        pages = self.ports.parameters.read_path(self.settings.rotations_path or "", retry_until=retry_until)
        return self._read_pages(pages, found)

    def _read_pages(
        self, pages: Iterable[Mapping[str, Parameter]], found: OnFound = lambda _rotation: None
    ) -> Registry:
        from rotator.config import registry

        settings = self.settings
        path, hosts = settings.rotations_path or "", settings.allowed_hosts
        return registry.read(path, pages, hosts, found, kms_key_id=settings.kms_key_id)

    def _find_with_stored(self, run: Run) -> tuple[Fleet, StoredByName]:
        """Return all rotations, and the stored state of each."""
        with StoredReader(self.ports.parameters, deadline=run.request_deadline) as reader:
            fleet = self._find(reader.add, run.request_deadline)
            return fleet, reader.of(fleet.rotations)

    def _fleet_for_worker(self, names: Sequence[str]) -> Fleet:
        """Return the rotations with these names from their own documents; read all if one has none."""
        if self.settings.rotation:
            return self._find().for_worker(names)
        from rotator.workers import dispatch

        path = self.settings.rotations_path or ""
        fleet = self._read_pages([dispatch.read_documents(path, names, self.ports.parameters)]).fleet()
        if set(names) - fleet.names:
            fleet = self.registry().fleet()
        return fleet.for_worker(names)

    def _find(self, found: OnFound = lambda _rotation: None, retry_until: Deadline | None = None) -> Fleet:
        if self.settings.rotation:
            found(self.settings.rotation)
            return Fleet(rotations=(self.settings.rotation,))
        registry = self.registry(found, retry_until)
        if not registry.names:
            raise SettingsError(
                f"there is no rotation under {registry.path}",
                advice="add one with `rotator add`, or correct ROTATOR_ROTATIONS_PATH",
            )
        return registry.fleet()


def build(environ: Mapping[str, str]) -> Rotator:
    """Read the settings and make a rotator with real adapters; raises SettingsError."""
    read = read_environment(environ)
    counters, write_rate = Counters(), WriteRate(read.writes_per_second / read.workers)
    return Rotator(
        settings=read,
        ports=Adapters(counters, write_rate),
        counters=counters,
        write_rate=write_rate,
        open_queue=_opener(read.queue_url) if read.queue_url else None,
        replicas=tuple(_replica(region, read) for region in read.replica_regions),
    )


def _replica(region: str, settings: Settings) -> Replica:
    """Return a replica Region, whose Parameter Store is opened on first use."""
    from rotator.replication.region_copies import Replica

    write_rate = WriteRate(settings.writes_per_second / settings.workers)

    @cache
    def open_store() -> ParameterStore:
        from rotator.adapters.runtime import replica_region

        return replica_region.open_store(region, write_rate.slow_down)

    return Replica(region=region, open=open_store, write_rate=write_rate)


def _opener(url: str) -> Callable[[], WorkQueue]:
    """Return a function that opens a queue when it is first called."""

    @cache
    def open_queue() -> WorkQueue:
        from rotator.adapters.runtime.sqs import SqsWorkQueue

        return SqsWorkQueue(aws_client.client("sqs"), url)

    return open_queue


def begin_run(name: str, deadline: Deadline | None = None) -> Run:
    """Return a run that begins now; if no deadline is given, it has the default budget.

    Each run gets an id of its own, even for a name that is used again: AWS may deliver an event twice with
    the same request id, and the two runs must not count as one run.
    """
    end = time.monotonic() + RUN_BUDGET_SECONDS
    run_deadline = deadline or Deadline(lambda: end - time.monotonic())
    return Run(
        id=f"{name}/{os.urandom(4).hex()}",
        now=utc_now,
        deadline=run_deadline,
        budget=run_deadline.remaining(),
        overrun=0.0 if deadline else LONGEST_WRITE_SECONDS,
    )
