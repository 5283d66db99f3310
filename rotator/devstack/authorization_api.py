"""The embedded Authorization API: Authlib's server for requests as the API's documentation shows them.

``POST /oauth2/token`` issues JWTs for client credentials; ``GET /topics`` represents the Content API and
accepts them. As in the documentation's three samples, clients may send Basic without a space after it,
quoted form values and a JSON body; id and secret are raw in Basic, not form-encoded.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.oauth2.rfc6749 import ClientMixin, InvalidRequestError, OAuth2Request
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator, JWTBearerTokenValidator
from flask import Flask, Request, Response, g, jsonify, request
from joserfc.jwk import OctKey

ISSUER = "https://auth.healthwise.net/"
AUDIENCE = "https://content.healthwise.net/"
MAX_EXPIRATION = 86400
SCOPES = ("*", "content.api", "search.api", "taxonomy.api", "triage.api")
SIGNING_KEY = OctKey.generate_key(256)

_AUTH_METHODS = ("client_secret_basic", "client_secret_post")

SAMPLE_CLIENTS: Mapping[str, str] = {"s6BhdRkqt3": "gX1fBat3bV", "your client id": "your client secret"}
"""The clients of the documentation's samples; the first is RFC 6749's."""

TOPICS = [
    {"id": "hw2271", "title": "Ear Infections"},
    {"id": "hw5157", "title": "Asthma in Children"},
    {"id": "hw28656", "title": "High Blood Pressure"},
]


@dataclass(frozen=True)
class Client(ClientMixin):  # type: ignore[misc]
    """A registered client, which may use everything that the documentation shows."""

    client_id: str
    client_secret: str = field(repr=False)

    def get_client_id(self) -> str:
        """Return the client's id."""
        return self.client_id

    def get_allowed_scope(self, scope: str | None) -> str:
        """Return the requested scope, or all scopes if none was requested."""
        return scope or "*"

    def check_client_secret(self, client_secret: str) -> bool:
        """Return whether this is the client's secret."""
        return secrets.compare_digest(self.client_secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Return whether the method is Basic or form parameters."""
        return endpoint == "token" and method in _AUTH_METHODS

    def check_grant_type(self, grant_type: str) -> bool:
        """Return whether the grant is client credentials."""
        return grant_type == "client_credentials"


class ClientGrant(ClientCredentialsGrant):  # type: ignore[misc]
    """Client credentials with the API's own parameter ``expiration``, in seconds."""

    TOKEN_ENDPOINT_AUTH_METHODS = _AUTH_METHODS

    def validate_token_request(self) -> None:
        """Check the grant, and that ``expiration`` is a number of seconds up to a day."""
        super().validate_token_request()
        text = self.request.payload.data.get("expiration", str(MAX_EXPIRATION))
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_EXPIRATION:
            raise InvalidRequestError(f"expiration is not a number of seconds from 1 to {MAX_EXPIRATION}")
        g.expiration = int(text)


class AuthorizationApi:
    """The API as a WSGI application, ``app``, for clients with these secrets and those of the samples.

    ``basic_encoding`` is ``raw`` as documented, or ``form`` for a server that follows RFC 6749 strictly.
    """

    def __init__(self, clients: Mapping[str, str], *, basic_encoding: str = "raw") -> None:
        self.clients = {i: Client(i, s) for i, s in {**SAMPLE_CLIENTS, **clients}.items()}
        self._is_form_encoded = basic_encoding == "form"
        self.app = Flask(__name__)
        logging.getLogger("authlib").setLevel(logging.WARNING)  # at DEBUG it logs every token
        server = _Server(self.app, query_client=self.clients.get, save_token=self.save_token)
        server.scopes_supported = SCOPES
        generator = _TokenGenerator(ISSUER, alg="HS256", expires_generator=lambda *_: g.expiration)
        server.register_token_generator("default", generator)
        server.register_client_auth_method("client_secret_basic", self._authenticate_basic)
        server.register_grant(ClientGrant)
        protector = ResourceProtector()
        protector.register_token_validator(_TokenValidator(ISSUER, AUDIENCE))

        self.app.post("/oauth2/token")(server.create_token_response)

        @self.app.get("/topics")
        @protector()  # type: ignore[untyped-decorator]
        def topics() -> Response:
            return jsonify({"items": TOPICS})

    def _authenticate_basic(self, query_client: Any, oauth_request: OAuth2Request) -> Client | None:
        """Return the client of a Basic header; as documented, it may lack the space after Basic."""
        header = oauth_request.headers.get("Authorization", "")
        if header[:5].lower() != "basic":
            return None
        try:
            pair = base64.b64decode(header[5:].strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        client_id, _, client_secret = pair.partition(":")
        if self._is_form_encoded:
            client_id, client_secret = unquote_plus(client_id), unquote_plus(client_secret)
        client: Client | None = query_client(client_id)
        return client if client and client.check_client_secret(client_secret) else None

    def save_token(self, token: Mapping[str, Any], request: OAuth2Request) -> None:
        """Receive each issued token; nothing stores it, because it is a JWT."""


class _Server(AuthorizationServer):  # type: ignore[misc]
    """Authlib's server, which accepts requests as the documentation shows them."""

    def create_oauth2_request(self, _request: object) -> OAuth2Request:
        return _DocumentedRequest(request)


class _DocumentedRequest(OAuth2Request):  # type: ignore[misc]
    def __init__(self, flask_request: Request) -> None:
        # Authlib refuses URLs without https, so this URL replaces the one on loopback.
        super().__init__(flask_request.method, ISSUER + "oauth2/token", headers=flask_request.headers)
        self.payload = BasicOAuth2Payload(read_parameters(flask_request.get_data(as_text=True)))

    @property
    def form(self) -> dict[str, str]:
        return dict(self.payload.data)


def read_parameters(body: str) -> dict[str, str]:
    """Return the parameters of a body in the samples' formats: a form, with or without quotes, or JSON."""
    if body.lstrip().startswith("{"):
        try:
            return {str(name): str(value) for name, value in json.loads(body).items()}
        except ValueError:
            return {}
    return {name: value.strip('"') for name, value in parse_qsl(body.strip(), keep_blank_values=True)}


class _TokenGenerator(JWTBearerTokenGenerator):  # type: ignore[misc]
    def get_jwks(self) -> OctKey:
        return SIGNING_KEY

    def get_audiences(self, _client: Client, _user: None, _scope: str) -> str:
        return AUDIENCE


class _TokenValidator(JWTBearerTokenValidator):  # type: ignore[misc]
    def get_jwks(self) -> OctKey:
        return SIGNING_KEY
