"""The embedded Authorization API with planned misbehaviour, secrets that are rolled, and revoked tokens.

``PUT /_misbehaviour`` takes JSON with these optional fields::

    {"answers": [{"status": 503, "headers": {"Retry-After": "1"}}, {}, {"body": "<html>"}],
     "revokes_older_tokens": true}

Each token request receives the next answer. For ``{}``, and after the last answer, the API itself responds.
An answer may have ``status``, ``headers``, ``body`` (text), ``delay`` (seconds before the answer) and
``stall`` (seconds in the middle of the body). ``GET /_misbehaviour`` returns the number of token requests.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from authlib.oauth2.rfc6749 import OAuth2Request
from flask import Flask, Response, jsonify, request

from rotator.devstack.authorization_api import AuthorizationApi, Client

_KEYS = frozenset({"status", "headers", "body", "delay", "stall"})


@dataclass(frozen=True)
class RolledClient(Client):
    """A client whose previous secret may still be valid."""

    previous_secret: str = field(repr=False)

    def check_client_secret(self, client_secret: str) -> bool:
        """Return whether this is the current secret or the previous one."""
        return super().check_client_secret(client_secret) or client_secret == self.previous_secret


class MisbehavingApi(AuthorizationApi):
    """The API; ``misbehaviour`` plans its faults."""

    def __init__(self, clients: Mapping[str, str], **options: Any) -> None:
        super().__init__(clients, **options)
        self._newest: dict[str, str] = {}
        self._revoked: set[str] = set()
        self.app.before_request(self._refuse_revoked_token)
        self.misbehaviour = Misbehaviour()
        self.misbehaviour.install(self.app)

    def roll_secret(self, client_id: str, client_secret: str, *, keep_older: bool = False) -> None:
        """Replace a client's secret.

        Args:
            client_id: The client; raises KeyError if it is not registered.
            client_secret: The new secret.
            keep_older: Whether the previous secret stays valid until the next call.
        """
        previous = self.clients[client_id].client_secret
        rolled = Client(client_id, client_secret)
        self.clients[client_id] = RolledClient(client_id, client_secret, previous) if keep_older else rolled

    def save_token(self, token: Mapping[str, Any], request: OAuth2Request) -> None:
        """Record a client's newest token, and revoke the previous one if that is planned."""
        client_id = request.client.client_id
        if client_id in self._newest and self.misbehaviour.revokes_older_tokens:
            self.revoke(self._newest[client_id])
        self._newest[client_id] = token["access_token"]

    def revoke(self, token: str) -> None:
        """Revoke a token, as a provider may do without an announcement."""
        self._revoked.add(token)

    def _refuse_revoked_token(self) -> Response | None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return Response('{"error": "invalid_token"}', status=401) if token in self._revoked else None


class Misbehaviour:
    """The planned answers of the API, which its threads share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: deque[dict[str, Any]] = deque()
        self.revokes_older_tokens = False
        self.token_requests = 0

    def plan(self, *answers: dict[str, Any], revokes_older_tokens: bool | None = None) -> None:
        """Replace the planned answers; raise ValueError for an answer with an unknown key."""
        for answer in answers:
            if unknown := answer.keys() - _KEYS:
                raise ValueError(f"an answer has unknown keys: {', '.join(sorted(unknown))}")
        with self._lock:
            self._answers = deque(answers)
            if revokes_older_tokens is not None:
                self.revokes_older_tokens = revokes_older_tokens

    def install(self, app: Flask) -> None:
        """Answer token requests before the application does, and serve ``/_misbehaviour``."""
        app.before_request(self._before_request)

        @app.route("/_misbehaviour", methods=["GET", "PUT"])
        def misbehaviour() -> Response | tuple[Response, int]:
            if request.method == "PUT":
                try:
                    plan = request.get_json(force=True)
                    self.plan(*plan.get("answers", []), revokes_older_tokens=plan.get("revokes_older_tokens"))
                except (ValueError, AttributeError, TypeError) as error:
                    return jsonify({"error": str(error)}), 400
            return jsonify({"token_requests": self.token_requests, "planned": len(self._answers)})

    def _before_request(self) -> Response | None:
        if request.path != "/oauth2/token" or request.method != "POST":
            return None
        with self._lock:
            self.token_requests += 1
            answer = self._answers.popleft() if self._answers else {}
        time.sleep(answer.get("delay", 0))
        if not answer.keys() - {"delay"}:
            return None
        return _response(answer)


def _response(answer: dict[str, Any]) -> Response:
    body = str(answer.get("body", "")).encode()
    headers = {"Content-Type": "application/json", **answer.get("headers", {})}
    stall = answer.get("stall", 0)
    if stall:
        headers.setdefault("Content-Length", str(len(body)))
    return Response(
        _stalled(body, stall) if stall else body, status=answer.get("status", 200), headers=headers
    )


def _stalled(body: bytes, seconds: float) -> Iterator[bytes]:
    middle = len(body) // 2
    yield body[:middle]
    time.sleep(seconds)
    yield body[middle:]
