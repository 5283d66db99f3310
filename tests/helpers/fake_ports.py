"""The ports in memory. They pass the same contract tests as the adapters, in tests/contract."""

from __future__ import annotations

import base64
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from rotator.config.deployment import (
    EventSourceMapping,
    Identity,
    Key,
    LogEvent,
    Schedule,
    Stack,
)
from rotator.errors import RotatorError, TokenEndpointUnavailable, TokenVerificationError, WorkNotSent
from rotator.oauth import token_error
from rotator.oauth.client_credentials import TokenRequest, TokenResponse
from rotator.oauth.models import ClientCredentials, Secret, Stage
from rotator.renewal.deadline import Deadline
from rotator.renewal.lease_text import LeaseText
from rotator.renewal.models import Parameter, Rotation
from rotator.renewal.ports import Run
from rotator.simulation.aws import MemoryParameterStore, MemorySecretStore

START = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
DAY = 86400

CANARY_SECRET = "canary-secret/+="
CANARY_TOKEN = "canary-token"


def rotation(**changes: Any) -> Rotation:
    """Return a rotation with the default settings."""
    base = Rotation(
        name="default",
        secret_id="healthwise/client",
        parameter_name="/healthwise/token",
        token_endpoint="https://auth.example.test/oauth2/token",
    )
    return replace(base, **changes)


class Clock:
    """A clock that advances only when a caller sleeps."""

    def __init__(self, now: datetime = START) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def run(clock: Clock, *, name: str = "run-1", budget: float = 60, **options: Any) -> Run:
    """Return a run that begins now on this clock; see Run for the options."""
    end = clock.time + timedelta(seconds=budget)
    return Run(
        id=name,
        now=clock.now,
        deadline=Deadline(lambda: (end - clock.time).total_seconds()),
        budget=budget,
        **options,
    )


class FakeParameterStore(MemoryParameterStore):
    """A store that records calls. ``fails`` maps "read", "token", "status", "lease" to an error."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self.writes: list[str] = []
        self.reads = 0
        self.fails: dict[str, RotatorError] = {}
        self.before_write: Callable[[str], None] = lambda _name: None

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        self.reads += 1
        self._fail("read")
        return super().read(names)

    def read_path(
        self, path: str, *, retry_until: Deadline | None = None
    ) -> Iterator[Mapping[str, Parameter]]:
        self._fail("read")
        return super().read_path(path, retry_until=retry_until)

    def write_token(self, rotation: Rotation, token: Secret) -> int:
        self._fail("token")
        return super().write_token(rotation, token)

    def write_status(self, rotation: Rotation, text: str) -> int:
        self._fail("status")
        return super().write_status(rotation, text)

    def create_lease(self, rotation: Rotation, text: str) -> int:
        self._fail("lease")
        return super().create_lease(rotation, text)

    def write_lease(self, rotation: Rotation, text: str) -> int:
        self._fail("lease")
        return super().write_lease(rotation, text)

    def _fail(self, kind: str) -> None:
        if kind in self.fails:
            raise self.fails[kind]

    def put(self, name: str, value: str, type_name: str, *, overwrite: bool = True) -> int:
        self.before_write(name)
        with self._lock:
            version = super().put(name, value, type_name, overwrite=overwrite)
            self.writes.append(name)
            return version

    def put_lease(self, of: Rotation, *, expires_at: datetime, **changes: Any) -> None:
        """Store a lease that another run has acquired."""
        found = self.parameters.get(of.lease_name)
        text = LeaseText(
            run="other", read_version=found.version if found else 0, expires_at=expires_at, **changes
        )
        self.put(of.lease_name, text.dump(), "String")

    def status(self, name: str = "/healthwise/token/status") -> dict[str, Any]:
        """Return the status parameter's JSON."""
        found: dict[str, Any] = json.loads(self.parameters[name].value)
        return found


class FakeDocumentStore:
    """Documents in a store in memory. ``fails`` maps a document to the error of its writes."""

    def __init__(self, store: FakeParameterStore) -> None:
        self.store = store
        self.fails: dict[str, RotatorError] = {}

    def write(self, document: str, text: str, *, overwrite: bool) -> None:
        self._fail(document)
        self.store.put(document, text, "String", overwrite=overwrite)

    def delete(self, document: str) -> bool:
        self._fail(document)
        return self.store.parameters.pop(document, None) is not None

    def _fail(self, document: str) -> None:
        if document in self.fails:
            raise self.fails[document]


class FakeSecretStore(MemorySecretStore):
    """The store in memory with one secret, counted. ``fails`` maps another stage to an error."""

    def __init__(self) -> None:
        secret = Secret(CANARY_SECRET)
        credentials = ClientCredentials(client_id="client", client_secret=secret, version_id="secret-v1")
        super().__init__({"healthwise/client": credentials})
        self.reads = 0
        self.fails: dict[Stage, RotatorError] = {}

    def read(self, rotation: Rotation) -> ClientCredentials:
        self.reads += 1
        return super().read(rotation)

    def read_stage(self, rotation: Rotation, stage: Stage) -> ClientCredentials | None:
        if stage in self.fails:
            raise self.fails[stage]
        return super().read_stage(rotation, stage)

    def stage(self, stage: Stage, client_secret: str, **changes: Any) -> None:
        """Add a version with this label to the secret."""
        self.staged["healthwise/client", stage] = replace(
            self.credentials["healthwise/client"],
            client_secret=Secret(client_secret),
            version_id=f"secret-{stage.lower()}",
            stage=stage,
            **changes,
        )


class FakeTokenEndpoint:
    """Returns the answers in order, then numbered tokens with a lifetime of one day.

    An answer is a status with a body, or an error to raise.
    """

    def __init__(self, clock: Clock, *answers: tuple[int, object] | RotatorError) -> None:
        self.clock = clock
        self.answers: deque[tuple[int, object] | RotatorError] = deque(answers)
        self.requests: list[TokenRequest] = []
        self.down: set[str] = set()
        self.probes: list[tuple[str, str]] = []
        self.probe_headers: Mapping[str, Secret] = {}
        self.probe_status = 200
        self.latency = 0.0

    def request(
        self, request: TokenRequest, *, deadline: Deadline, retry_until: Deadline | None = None
    ) -> TokenResponse:
        retry_until = retry_until or deadline
        while True:
            requested_at = self.clock.now()
            self.requests.append(request)
            self.clock.sleep(self.latency)
            if request.client.token_endpoint in self.down:
                raise TokenEndpointUnavailable("the endpoint could not be reached", advice="check the path")
            response = self._answer(requested_at)
            try:
                token_error.check_status(request, response, self.clock.now())
            except TokenEndpointUnavailable as error:
                wait = error.retry_after or 1.0
                if wait > min(deadline.remaining(), retry_until.remaining()):
                    raise
                self.clock.sleep(wait)
                continue
            return response

    def _answer(self, requested_at: datetime) -> TokenResponse:
        answer: object = self.answers.popleft() if self.answers else None
        if isinstance(answer, RotatorError):
            raise answer
        status, body = answer if isinstance(answer, tuple) else (200, self.token_answer())
        retry_after = None
        if isinstance(body, dict) and "retry_after" in body:
            retry_after = body["retry_after"]
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return TokenResponse(status=status, body=raw, requested_at=requested_at, retry_after=retry_after)

    def token_answer(self, **changes: Any) -> dict[str, Any]:
        """Return the next answer of an available endpoint."""
        token = f"{CANARY_TOKEN}-{len(self.requests)}"
        return {"access_token": token, "token_type": "Bearer", "expires_in": DAY, **changes}

    def probe(
        self, url: str, token: Secret, *, deadline: Deadline, headers: Mapping[str, Secret] | None = None
    ) -> None:
        self.probes.append((url, token.value))
        self.probe_headers = headers or {}
        if not 200 <= self.probe_status < 300 or deadline.remaining() <= 0:
            raise TokenVerificationError(
                f"verify_url did not accept the new token: HTTP {self.probe_status}", advice="check it"
            )


class FakeWorkQueue:
    """A queue in memory. It refuses the messages in ``refuses``, and ``fails`` as a whole once it is set."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.refuses: set[str] = set()
        self.fails: WorkNotSent | None = None

    def send(self, messages: Sequence[str]) -> Mapping[int, RotatorError]:
        assert messages, "AWS refuses a call without any"
        if len(messages) > 10:
            raise WorkNotSent("too many messages", advice="send ten")
        if self.fails:
            raise self.fails
        self.calls.append([message for message in messages if message not in self.refuses])
        refused = WorkNotSent("the rotation could not be enqueued for the workers: Refused", advice="wait")
        return {place: refused for place, message in enumerate(messages) if message in self.refuses}

    @property
    def messages(self) -> list[str]:
        """All accepted messages, in order."""
        return [message for call in self.calls for message in call]


class FakeInspector:
    """AWS as the doctor sees it, in memory. ``fails`` maps a method's name to an error."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.fails: dict[str, Exception] = {}
        self.date: str | None = format_datetime(clock.now(), usegmt=True)
        self.kept_versions: dict[str, Mapping[int, Sequence[str]]] = {}
        self.keys: dict[str, Key] = {}
        self.all_stacks: list[Stack] = []
        self.schedules: dict[tuple[str, str], Schedule] = {}
        self.logs: dict[str, list[LogEvent]] = {}
        self.queues: dict[str, int] = {}
        self.takers: dict[tuple[str, str], EventSourceMapping] = {}
        self.topics: dict[str, list[bool]] = {}

    def identity(self) -> Identity:
        self._fail("identity")
        return Identity(
            account="123456789012", arn="arn:aws:iam::123456789012:user/operator", region="us-east-1"
        )

    def aws_date(self) -> str | None:
        self._fail("aws_date")
        return self.date

    def may_write(self, rotation: Rotation, name: str) -> None:
        kind = "token" if name == rotation.parameter_name else name.rpartition("/")[2]
        self._fail(f"may_write_{kind}")

    def versions(self, name: str) -> Mapping[int, Sequence[str]]:
        self._fail("versions")
        return self.kept_versions[name]

    def key(self, key_id: str) -> Key | None:
        self._fail("key")
        return self.keys.get(key_id)

    def stack(self, name: str) -> Stack | None:
        self._fail("stack")
        return next((stack for stack in self.all_stacks if stack.name == name), None)

    def stacks(self) -> Sequence[Stack]:
        self._fail("stacks")
        return self.all_stacks

    def schedule(self, name: str, group: str) -> Schedule | None:
        self._fail("schedule")
        return self.schedules.get((group, name))

    def messages(self, queue_url: str) -> int | None:
        self._fail("messages")
        return self.queues.get(queue_url)

    def event_source_mapping(self, function: str, queue_url: str) -> EventSourceMapping | None:
        self._fail("taker")
        return self.takers.get((function, queue_url))

    def subscriptions(self, topic_arn: str) -> Sequence[bool]:
        self._fail("subscriptions")
        return self.topics[topic_arn]

    def last_event(self, log_group: str, words: str, since: datetime) -> LogEvent | None:
        self._fail("last_event")
        found = [event for event in self.logs[log_group] if words in event.message and event.at >= since]
        return max(found, key=lambda event: event.at, default=None)

    def _fail(self, method: str) -> None:
        if method in self.fails:
            raise self.fails[method]


@dataclass
class FakePorts:
    """The three together."""

    parameters: FakeParameterStore
    secrets: FakeSecretStore
    token_endpoint: FakeTokenEndpoint


def ports(clock: Clock, *answers: tuple[int, object] | RotatorError) -> FakePorts:
    """Return ports with an empty store."""
    return FakePorts(FakeParameterStore(), FakeSecretStore(), FakeTokenEndpoint(clock, *answers))


def jwt(claims: Mapping[str, object]) -> str:
    """Return a token in the form of a JWT, whose signature is not checked here."""
    return ".".join(_base64(part) for part in (b'{"alg":"none"}', json.dumps(claims).encode(), b"sig"))


def _base64(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def time(text: str) -> datetime:
    """Return a time of a status."""
    return datetime.fromisoformat(text)


def names(results: Iterable[Any]) -> list[str]:
    """Return the names of results, in order."""
    return [result.name for result in results]
