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
from rotator.config import registry
from rotator.config.environment import Settings, read_environment
from rotator.config.registry import Fleet, Registry
from rotator.errors import SettingsError
from rotator.fleet.run import run_fleet
from rotator.fleet.state_reader import StoredReader
from rotator.fleet.summary import shortened
from rotator.fleet.write_rate import WriteRate
from rotator.observability.metrics import Counters
from rotator.renewal.deadline import Deadline
from rotator.renewal.models import Parameter, Rotation, Summary
from rotator.renewal.policy import RUN_BUDGET_SECONDS
from rotator.renewal.ports import ParameterStore, Ports, Run, SecretStore, TokenEndpoint

if TYPE_CHECKING:  # a scheduled run that finds every token fresh needs none of them
    from rotator.adapters.runtime.http_transport import HttpTransport
    from rotator.replication.region_copies import Replica
    from rotator.workers.dispatch import WorkQueue
    from rotator.workers.queue_messages import Batch


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
        from rotator.adapters.runtime.private_trust import PrivateTrust
        from rotator.adapters.runtime.token_endpoint import HttpTokenEndpoint

        return HttpTokenEndpoint(
            make_transport(),
            now=utc_now,
            counters=self._counters,
            signer=partial(kms.sign, cache(lambda: aws_client.client("kms", aws_client.TWO_ATTEMPTS))),
            private_trust=PrivateTrust(lambda: self.parameters, make_transport),
        )


def make_transport(certificates: str | None = None) -> HttpTransport:
    """Make the transport of HTTP requests; it trusts these certificates in addition to the public ones."""
    from rotator.adapters.runtime.http_transport import HttpTransport

    return HttpTransport(now=utc_now, connections=aws_client.CONNECTIONS, certificates=certificates)


@dataclass(frozen=True)
class Rotator:
    """The job with its settings and ports, as the entry points run it.

    The ports increment the ``counters``. ``open_queue`` opens the workers' queue; it is None without workers.
    """

    settings: Settings
    ports: Ports
    counters: Counters = field(default_factory=Counters)
    write_rate: WriteRate | None = None
    open_queue: Callable[[], WorkQueue] | None = None
    replicas: tuple[Replica, ...] = ()

    def fleet(self, names: Sequence[str] = (), **options: Any) -> Fleet:
        """Return the rotations with these names, or all rotations; see ``registry`` for the options.

        Raises SettingsError if a name is unknown or the path has no documents, ParameterStoreError if the
        documents cannot be read.
        """
        if self.settings.rotation:
            return Fleet(rotations=(self.settings.rotation,)).only(names)
        found = self.registry(**options)
        if not found.names:
            raise SettingsError(
                f"there is no rotation under {found.path}",
                advice="add one with `rotator add`, or correct ROTATOR_ROTATIONS_PATH",
            )
        return found.fleet().only(names)

    def run(self, run: Run, names: Sequence[str] = (), **options: Any) -> Summary:
        """Serve the rotations with these names, or all rotations; raises the same errors as ``fleet``."""
        if names or self.settings.rotation:
            return self.run_fleet(self.fleet(names), run, **options)
        with StoredReader(self.ports.parameters, deadline=run.request_deadline) as reader:
            fleet = self.fleet(found=reader.add, retry_until=run.request_deadline)
            stored = reader.of(fleet.rotations)
        return self.run_fleet(fleet, run, stored=stored, **options)

    def run_fleet(
        self, fleet: Fleet, run: Run, *, force: bool = False, dry_run: bool = False, **options: Any
    ) -> Summary:
        """Serve these rotations and their replicas; see Run and fleet.run.run_fleet for the options."""
        settings, ports = self.settings, self.ports
        run = replace(run, expected_lifetime=settings.expected_lifetime, force=force, dry_run=dry_run)
        serve = partial(run_fleet, fleet, ports, run, settings.guarantee, write_rate=self.write_rate)
        if not self.replicas or dry_run:
            return serve(**options)
        from rotator.replication.run import serve_with_replicas

        return serve_with_replicas(serve, fleet.rotations, self.replicas, ports.parameters, run, **options)

    def run_scheduled(self, run: Run) -> Summary:
        """Serve all rotations, or enqueue the due ones for workers; raises the same errors as ``fleet``."""
        if self.open_queue is None:
            return self.run(run)
        from rotator.workers import dispatch

        summary = self.run(run, enqueue=partial(dispatch.enqueue, self.open_queue))
        slow = dispatch.write_rate_warning(self.settings.writes_per_second, self.settings.workers, run)
        return replace(summary, warnings=(*summary.warnings, *slow))

    def work(self, run: Run, batch: Batch) -> Summary:
        """Serve the rotations that the messages of a batch name, and warn about names without a rotation.

        Only their own documents are read, or all documents if a rotation has none. Raises ParameterStoreError
        if they cannot be read.
        """
        from rotator.workers import dispatch, queue_messages

        if self.settings.rotation:
            fleet = self.fleet()
        else:
            parameters, path = self.ports.parameters, self.settings.rotations_path or ""
            fleet = self.registry([dispatch.read_documents(path, batch.names, parameters)]).fleet()
            if set(batch.names) - fleet.names:
                fleet = self.registry().fleet()
        summary = self.run_fleet(fleet.for_worker(batch.names), run, shared=True)
        warnings = shortened(queue_messages.warnings(batch, summary))
        return replace(summary, warnings=(*summary.warnings, *warnings))

    def registry(
        self,
        pages: Iterable[Mapping[str, Parameter]] | None = None,
        found: Callable[[Rotation], None] = lambda _rotation: None,
        retry_until: Deadline | None = None,
    ) -> Registry:
        """Read the documents on these pages, or all under the path; call ``found`` with each rotation.

        Raises ParameterStoreError if they cannot be read.
        """
        settings = self.settings
        path = settings.rotations_path or ""
        if pages is None:
            pages = self.ports.parameters.read_path(path, retry_until=retry_until)
        return registry.read(path, pages, settings.allowed_hosts, found, kms_key_id=settings.kms_key_id)


def build(environ: Mapping[str, str]) -> Rotator:
    """Read the settings and make a rotator with real adapters; raises SettingsError."""
    read = read_environment(environ)
    writes_per_second = read.writes_per_second / read.workers
    counters, write_rate = Counters(), WriteRate(writes_per_second)
    return Rotator(
        settings=read,
        ports=Adapters(counters, write_rate),
        counters=counters,
        write_rate=write_rate,
        open_queue=cache(partial(_open_queue, read.queue_url)) if read.queue_url else None,
        replicas=tuple(_replica(region, writes_per_second) for region in read.replica_regions),
    )


def _open_queue(url: str) -> WorkQueue:
    from rotator.adapters.runtime.sqs import SqsWorkQueue

    return SqsWorkQueue(aws_client.client("sqs"), url)


def _replica(region: str, writes_per_second: float) -> Replica:
    """Return a replica Region, whose Parameter Store is opened on first use."""
    from rotator.adapters.runtime.replica_region import open_store
    from rotator.replication.region_copies import Replica

    write_rate = WriteRate(writes_per_second)
    open_region = cache(partial(open_store, region, write_rate.slow_down))
    return Replica(region=region, open=open_region, write_rate=write_rate)


def begin_run(name: str, deadline: Deadline | None = None) -> Run:
    """Return a run that begins now; if no deadline is given, it has the default budget.

    Each run gets an id of its own, even for a name that is used again: AWS may deliver an event twice with
    the same request id, and the two runs must not count as one run.
    """
    end = time.monotonic() + RUN_BUDGET_SECONDS
    until = deadline or Deadline(lambda: end - time.monotonic())
    return Run(
        id=f"{name}/{os.urandom(4).hex()}",
        now=utc_now,
        deadline=until,
        budget=until.remaining(),
        overrun=0.0 if deadline else 30.0,  # the longest call to AWS with its retries (aws_client.CONFIG)
    )
