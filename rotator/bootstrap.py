"""Settings in, a rotator that is ready to run out: the one place where parts are put together."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from threading import RLock
from typing import Any

from rotator import policy, settings
from rotator.adapters import aws
from rotator.agenda import AT_A_TIME
from rotator.contract import Contract
from rotator.errors import SettingsError
from rotator.fleet import Fleet, OnResult, run_fleet
from rotator.model import Rotation, Summary
from rotator.pace import UNPACED, Pace
from rotator.policy import RUN_BUDGET
from rotator.ports import ParameterStore, Ports, Run, SecretStore, TokenEndpoint
from rotator.settings import Settings
from rotator.stored import StoredReader
from rotator.usage import Usage

LONGEST_WRITE = 40.0
"""Seconds within which a call to AWS ends, its retries included (adapters.aws.CONFIG)."""


def utc_now() -> datetime:
    """The clock of the machine."""
    return datetime.now(UTC)


class Adapters:
    """The ports on the real world, each made when it is first used.

    Most ticks find every token fresh: they pay for Parameter Store, and for nothing else. What they use
    is counted in ``usage``; writes keep the ``pace``.
    """

    def __init__(self, usage: Usage | None = None, pace: Pace = UNPACED) -> None:
        self._lock = RLock()
        self._usage = usage or Usage()
        self._pace = pace

    @cached_property
    def parameters(self) -> ParameterStore:
        """SSM Parameter Store."""
        from rotator.adapters.parameter_store import SsmParameterStore

        return SsmParameterStore(aws.client("ssm"), usage=self._usage, pace=self._pace)

    @property
    def secrets(self) -> SecretStore:
        """AWS Secrets Manager."""
        with self._lock:
            return self._secrets

    @property
    def token_endpoint(self) -> TokenEndpoint:
        """HTTP."""
        with self._lock:
            return self._token_endpoint

    @cached_property
    def _secrets(self) -> SecretStore:
        from rotator.adapters.secrets_manager import SecretsManager

        return SecretsManager(aws.client("secretsmanager"))

    @cached_property
    def _token_endpoint(self) -> TokenEndpoint:
        from rotator.adapters.http import HttpTransport
        from rotator.adapters.token_endpoint import HttpTokenEndpoint

        return HttpTokenEndpoint(
            HttpTransport(now=utc_now, connections=AT_A_TIME), now=utc_now, usage=self._usage
        )


@dataclass(frozen=True)
class Rotator:
    """What the entry points run. ``usage`` is where its ports count; ``pace`` is that of their writes."""

    settings: Settings
    ports: Ports
    usage: Usage = field(default_factory=Usage)
    pace: Pace = UNPACED

    def fleet(self, names: Sequence[str] = ()) -> Fleet:
        """Return the rotations of these names, or all of them.

        Raises SettingsError for an unknown name or a path without documents,
        ParameterStoreError if the documents cannot be read.
        """
        return self._find().only(names)

    def run(
        self,
        run: Run,
        names: Sequence[str] = (),
        *,
        force: bool = False,
        dry_run: bool = False,
        on_result: OnResult | None = None,
    ) -> Summary:
        """Serve the rotations of these names, or all of them; see ``fleet`` for what it raises.

        ``on_result`` is told each outcome as soon as it is known.
        """
        with StoredReader(self.ports.parameters, time_left=run.time_for_requests) as reader:
            if names:
                fleet = self.fleet(names)
                for rotation in fleet.rotations:
                    reader.add(rotation)
            else:
                fleet = self._find(reader.add)
            stored = reader.of(fleet.rotations)
        return run_fleet(
            fleet,
            self.ports,
            replace(run, pace=self.pace),
            self.contract,
            force=force,
            dry_run=dry_run,
            on_result=on_result,
            stored=stored,
        )

    @property
    def contract(self) -> Contract:
        """What consumers were promised."""
        return Contract(
            schedule_interval=self.settings.schedule_interval,
            consumer_cache=self.settings.consumer_cache,
        )

    def check_overlap(self, fleet: Fleet) -> None:
        """Raise SettingsError if the settings alone show that the overlap contract cannot hold."""
        for rotation in fleet.rotations:
            lifetime = policy.asked_lifetime(rotation)
            problem = self.contract.problem(lifetime, rotation.renew_at) if lifetime else None
            if problem:
                raise SettingsError(f"rotation {rotation.name}: {problem.problem}", advice=problem.advice)

    def _find(self, found: Callable[[Rotation], None] = lambda _rotation: None) -> Fleet:
        """Find all rotations, and tell of each at once: the next page of documents takes its time."""
        if self.settings.rotation:
            found(self.settings.rotation)
            return Fleet(rotations=(self.settings.rotation,))
        path, hosts = self.settings.rotations_path or "", self.settings.allowed_hosts
        documents: dict[str, Rotation | SettingsError] = {}
        for page in self.ports.parameters.read_path(path):
            for name, parameter in page.items():
                try:
                    documents[name] = rotation = settings.read_document(path, name, parameter, hosts)
                    found(rotation)
                except SettingsError as error:
                    documents[name] = error
        if not documents:
            raise SettingsError(
                f"there is no rotation under {path}",
                advice="write a document there for each rotation, or correct ROTATOR_ROTATIONS_PATH",
            )
        return _fleet(path, documents)


def _fleet(path: str, documents: Mapping[str, Rotation | SettingsError]) -> Fleet:
    """Put together those that do not get in each other's way; of two that do, the first document counts."""
    rotations: dict[str, Rotation] = {}
    broken: list[tuple[str, SettingsError]] = []
    claimed: dict[str, str] = {}
    for document, rotation in sorted(documents.items()):
        try:
            if isinstance(rotation, SettingsError):
                raise rotation
            _refuse_shared(rotation, rotations, claimed)
        except SettingsError as error:
            broken.append((settings.document_name(path, document), error))
            continue
        rotations[rotation.name] = rotation
        claimed |= dict.fromkeys((rotation.parameter_name, rotation.status_name), rotation.name)
    return Fleet(rotations=tuple(rotations.values()), broken=tuple(broken))


def _refuse_shared(rotation: Rotation, rotations: Mapping[str, Rotation], claimed: Mapping[str, str]) -> None:
    """Two rotations must not share a name or write the same parameter."""
    if rotation.name in rotations:
        raise SettingsError(f"two documents are named {rotation.name}", advice="name one of them otherwise")
    for name in (rotation.parameter_name, rotation.status_name):
        if name in claimed:
            raise SettingsError(
                f"the parameter {name} belongs to the rotation {claimed[name]} already",
                advice="set parameter_name to another name",
            )


def build(environ: Mapping[str, str]) -> Rotator:
    """Read the settings and make a rotator on the real world; raises SettingsError."""
    read = settings.read_environment(environ)
    usage, pace = Usage(), Pace(read.writes_per_second)
    return Rotator(settings=read, ports=Adapters(usage, pace), usage=usage, pace=pace)


def environment(environ: Mapping[str, str], stack: str | None) -> Mapping[str, str]:
    """Return the variables to read settings from: the environment's, or those that a stack gives.

    A stack that is named counts alone; see adapters.deployment for what it raises.
    """
    if not stack:
        return environ
    from rotator.adapters.deployment import stack_variables

    return stack_variables(stack)


def invoke_function(name: str, event: Mapping[str, Any]) -> Summary:
    """Run the deployed function and return its summary; see adapters.function for what it raises."""
    from rotator.adapters import function

    return Summary.from_dict(function.invoke(name, event))


def begin_run(name: str, time_left: Callable[[], float] | None = None) -> Run:
    """Begin a run. Without a ``time_left`` it has the default budget from now on.

    Each run gets a name of its own, even if the one given is used again: AWS delivers an event
    more than once under the same request id, and both runs must not take each other for one.
    """
    overrun = 0.0
    if time_left is None:
        overrun = LONGEST_WRITE
        end = time.monotonic() + RUN_BUDGET

        def time_left() -> float:
            return end - time.monotonic()

    return Run(
        id=f"{name}/{secrets.token_hex(4)}",
        now=utc_now,
        time_left=time_left,
        budget=time_left(),
        overrun=overrun,
    )
