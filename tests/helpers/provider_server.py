"""A provider on loopback, which checks each token request against its documentation and answers by it."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from flask import Flask, request
from joserfc import jwt
from joserfc.errors import JoseError

from documented_providers import Body, Documented
from rotator.devstack.http_server import serving
from rotator.oauth.client_assertion import ASSERTION_TYPE

FORM = "application/x-www-form-urlencoded"
LONGEST_ASSERTION_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Client:
    """A client as its provider knows it; a client without a secret has a public key of this name."""

    client_id: str
    client_secret: str = ""
    key: Any = None
    key_name: str = ""
    gateway_key: str = ""


@dataclass
class Server:
    """A provider that knows one client. ``undocumented`` is what was wrong with the requests it got."""

    documented: Documented
    client: Client
    path: str
    undocumented: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def answer(self) -> tuple[int, Body]:
        """Answer the request that Flask has."""
        form = parse_qsl(request.get_data(as_text=True), keep_blank_values=True)
        problems = list(self._problems(form))
        self.undocumented += problems
        if problems:
            return 418, {"error": "invalid_request"}
        header, refusal = self.documented.gateway_header, self.documented.gateway_refusal
        if header and refusal and request.headers.get(header) != self.client.gateway_key:
            return refusal
        if not self._is_authenticated(dict(form)):
            return self.documented.refusal
        return 200, self.documented.answer()

    def _problems(self, form: list[tuple[str, str]]) -> Iterator[str]:
        """Return what the documentation does not allow in a request of any client."""
        if (request.method, request.full_path.rstrip("?")) != ("POST", self.path):
            yield f"{request.method} {request.full_path}"
        if request.headers["Content-Type"] != FORM or "application/json" not in request.headers["Accept"]:
            yield f"{request.headers['Content-Type']}, {request.headers['Accept']}"
        if ("Authorization" in request.headers) is not bool(self.documented.basic):
            yield "Authorization"
        expected = {**self.documented.form, **self._credentials()}
        optional = {"client_id"} if self.documented.algorithm else set()  # RFC 7521, 4.2
        if (
            len(dict(form)) < len(form)
            or not expected.keys() <= dict(form).keys() <= expected.keys() | optional
        ):
            yield f"the parameters {[name for name, _ in form]}"
        for name, value in form:
            if not re.fullmatch(expected.get(name, re.escape(self.client.client_id)), value):
                yield f"the value of {name}"

    def _credentials(self) -> Mapping[str, str]:
        """The parameters that authenticate the client, with patterns of their values."""
        if self.documented.algorithm:
            return {"client_assertion_type": re.escape(ASSERTION_TYPE), "client_assertion": ".+"}
        return {} if self.documented.basic else {"client_id": ".+", "client_secret": ".+"}

    def _is_authenticated(self, form: Mapping[str, str]) -> bool:
        if self.documented.algorithm:
            return self._is_asserted(form["client_assertion"])
        client_id, client_secret = form.get("client_id", ""), form.get("client_secret", "")
        if self.documented.basic:
            scheme, _, encoded = request.headers["Authorization"].partition(" ")
            assert scheme == "Basic"
            client_id, _, client_secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        if self.documented.basic == "form":
            client_id, client_secret = unquote_plus(client_id), unquote_plus(client_secret)
        return (client_id, client_secret) == (self.client.client_id, self.client.client_secret)

    def _is_asserted(self, assertion: str) -> bool:
        """Whether a JWT is signed with the client's key, names it, and is its own (RFC 7523, 3)."""
        try:
            token = jwt.decode(assertion, self.client.key, algorithms=[self.documented.algorithm or ""])
        except JoseError:
            return False
        names = {
            "alg": self.documented.algorithm,
            "typ": "JWT",
            self.documented.key_name: self.client.key_name,
        }
        claims, now = token.claims, time.time()
        is_new = claims["jti"] not in self.seen
        self.seen.add(claims["jti"])
        return (
            is_new
            and token.header == names
            and claims["iss"] == claims["sub"] == self.client.client_id
            and claims["aud"] == request.base_url
            and claims["iat"] <= now < claims["exp"] <= now + LONGEST_ASSERTION_SECONDS
        )


@contextmanager
def running(server: Server) -> Iterator[str]:
    """Run a provider while the body runs; yields the address of its token endpoint."""
    app = Flask(__name__)

    def answer(**_path: str) -> Any:
        status, body = server.answer()
        return body, status

    app.add_url_rule("/", view_func=answer, methods=["GET", "POST"])
    app.add_url_rule("/<path:path>", view_func=answer, methods=["GET", "POST"])
    with serving(app) as address:
        yield address + server.path
