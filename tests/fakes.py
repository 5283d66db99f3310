"""The ports in memory. They pass the same contract tests as the adapters, in tests/contract."""

from __future__ import annotations

import base64
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rotator import oauth
from rotator.errors import (
    ConcurrentUpdate,
    CredentialsError,
    ParameterStoreError,
    RotatorError,
    TokenEndpointUnavailable,
    TokenVerificationError,
)
from rotator.model import ClientCredentials, Parameter, Rotation, Secret
from rotator.oauth import TokenRequest, TokenResponse
from rotator.ports import Run

START = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
DAY = 86400

CANARY_SECRET = "canary-secret/+="
CANARY_TOKEN = "canary-token"


def rotation(**changes: Any) -> Rotation:
    """A rotation with the design's defaults."""
    base = Rotation(
        name="default",
        secret_id="healthwise/client",
        parameter_name="/healthwise/token",
        token_endpoint="https://auth.example.test/oauth2/token",
    )
    return replace(base, **changes)


class Clock:
    """A clock that stands still until told otherwise; sleeping is how it advances."""

    def __init__(self, now: datetime = START) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def run(clock: Clock, *, name: str = "run-1", budget: float = 60) -> Run:
    """A run that began just now on this clock."""
    end = clock.time + timedelta(seconds=budget)
    return Run(id=name, now=clock.now, time_left=lambda: (end - clock.time).total_seconds(), budget=budget)


class FakeParameterStore:
    """Versioned parameters in a dict. ``fails`` maps "read", "token", "status" to an error."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.parameters: dict[str, Parameter] = {}
        self.writes: list[str] = []
        self.reads = 0
        self.fails: dict[str, RotatorError] = {}
        self.before_write: Callable[[str], None] = lambda _name: None

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        self.reads += 1
        if len(names) > 10:
            raise ParameterStoreError("too many names", advice="send ten")
        self._fail("read")
        return {name: self._as_stored(name) for name in names if name in self.parameters}

    def read_path(self, path: str) -> Mapping[str, Parameter]:
        self._fail("read")
        below = path.rstrip("/") + "/"
        return {name: self._as_stored(name) for name in self.parameters if name.startswith(below)}

    def _as_stored(self, name: str) -> Parameter:
        found = self.parameters[name]
        return replace(found, value="encrypted") if found.type == "SecureString" else found

    def write_token(self, rotation: Rotation, token: Secret) -> int:
        self._fail("token")
        return self._put(rotation.parameter_name, token.value, "SecureString")

    def create_status(self, rotation: Rotation, text: str) -> int:
        return self._put(rotation.status_name, text, "String", overwrite=False)

    def write_status(self, rotation: Rotation, text: str) -> int:
        self._fail("status")
        return self._put(rotation.status_name, text, "String")

    def _fail(self, kind: str) -> None:
        if kind in self.fails:
            raise self.fails[kind]

    def _put(self, name: str, value: str, type: str, *, overwrite: bool = True) -> int:
        self.before_write(name)
        with self._lock:
            old = self.parameters.get(name)
            if old and not overwrite:
                raise ConcurrentUpdate("it exists", advice="leave it")
            version = old.version + 1 if old else 1
            self.parameters[name] = Parameter(value=value, version=version, type=type)
            self.writes.append(name)
            return version

    def status(self, name: str = "/healthwise/token/status") -> dict[str, Any]:
        """The status parameter's JSON."""
        found: dict[str, Any] = json.loads(self.parameters[name].value)
        return found


@dataclass
class FakeSecretStore:
    """Credentials by secret id."""

    credentials: dict[str, ClientCredentials] = field(
        default_factory=lambda: {
            "healthwise/client": ClientCredentials(
                client_id="client", client_secret=Secret(CANARY_SECRET), version_id="secret-v1"
            )
        }
    )
    reads: int = 0

    def read(self, rotation: Rotation) -> ClientCredentials:
        self.reads += 1
        if rotation.secret_id not in self.credentials:
            raise CredentialsError(
                f"the secret {rotation.secret_id} could not be read: ResourceNotFoundException",
                advice="create it",
            )
        return self.credentials[rotation.secret_id]


class FakeTokenEndpoint:
    """Answers in turn, then numbered tokens of a day's life for ever.

    An answer is a status with a body, or an error to raise in its place.
    """

    def __init__(self, clock: Clock, *answers: tuple[int, object] | RotatorError) -> None:
        self.clock = clock
        self.answers: deque[tuple[int, object] | RotatorError] = deque(answers)
        self.requests: list[TokenRequest] = []
        self.probes: list[str] = []
        self.probe_status = 200
        self.latency = 0.0

    def request(self, request: TokenRequest, *, time_left: Callable[[], float]) -> TokenResponse:
        while True:
            requested_at = self.clock.now()
            self.requests.append(request)
            self.clock.sleep(self.latency)
            response = self._answer(requested_at)
            try:
                oauth.check_status(request, response, self.clock.now())
            except TokenEndpointUnavailable as error:
                wait = error.retry_after or 1.0
                if wait > time_left():
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
        """What a healthy endpoint answers next."""
        token = f"{CANARY_TOKEN}-{len(self.requests)}"
        return {"access_token": token, "token_type": "Bearer", "expires_in": DAY, **changes}

    def probe(self, url: str, token: Secret, *, time_left: Callable[[], float]) -> None:
        self.probes.append(url)
        if not 200 <= self.probe_status < 300:
            raise TokenVerificationError(
                f"verify_url did not accept the new token: HTTP {self.probe_status}", advice="check it"
            )


@dataclass
class FakePorts:
    """The three together."""

    parameters: FakeParameterStore
    secrets: FakeSecretStore
    token_endpoint: FakeTokenEndpoint


def ports(clock: Clock, *answers: tuple[int, object] | RotatorError) -> FakePorts:
    """A world in which nothing is stored yet."""
    return FakePorts(FakeParameterStore(), FakeSecretStore(), FakeTokenEndpoint(clock, *answers))


def jwt(claims: Mapping[str, object]) -> str:
    """A token in the form of a JWT; nobody here looks at the signature."""
    return ".".join(_base64(part) for part in (b'{"alg":"none"}', json.dumps(claims).encode(), b"sig"))


def _base64(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def names(results: Iterable[Any]) -> list[str]:
    """The names of results, in their order."""
    return [result.name for result in results]
