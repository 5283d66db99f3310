"""Certificates in a parameter: read when needed, trusted for the token endpoint and for nothing else."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from adapters.caller import Caller
from certificates import server_context, write_private_chain, write_self_signed
from fake_ports import CANARY_TOKEN, Clock, FakeParameterStore
from leak_check import reported
from rotator.adapters.runtime.http_transport import HttpTransport
from rotator.adapters.runtime.private_trust import MAX_AGE_SECONDS, PrivateTrust
from rotator.adapters.runtime.token_endpoint import HttpTokenEndpoint
from rotator.errors import ParameterStoreError, SettingsError, TokenRequestError, TokenVerificationError
from rotator.oauth.models import Secret
from rotator.renewal.deadline import Deadline
from scripted_server import TOKEN, TOKEN_BODY, Serve

NAME = "/healthwise/authorities"


class TrustSetup:
    """A store with certificates, and transports that only remember what they were made with."""

    def __init__(self) -> None:
        self.parameters = FakeParameterStore()
        self.seconds = 0.0
        self.made: list[str] = []
        self.trust = PrivateTrust(lambda: self.parameters, self._make, clock=lambda: self.seconds)

    def _make(self, certificates: str) -> Any:
        self.made.append(certificates)
        return object()

    def put(self, text: str, type_name: str = "String") -> None:
        self.parameters.put(NAME, text, type_name)


@pytest.fixture
def pem(certificate: Path) -> str:
    """A certificate without its key."""
    text = certificate.read_text()
    return text[: text.index("-----BEGIN PRIVATE KEY")]


@pytest.fixture
def world() -> TrustSetup:
    return TrustSetup()


def test_nothing_is_read_before_it_is_needed(world: TrustSetup) -> None:
    assert (world.parameters.reads, world.made) == (0, [])


def test_certificates_are_read_once_in_five_minutes(world: TrustSetup, pem: str) -> None:
    world.put(pem)
    first = world.trust(NAME)
    world.seconds = MAX_AGE_SECONDS - 1
    assert world.trust(NAME) is first
    assert world.parameters.reads == 1
    world.seconds = MAX_AGE_SECONDS
    assert world.trust(NAME) is first
    assert (world.parameters.reads, world.made) == (2, [pem])


def test_changed_certificates_are_used_after_five_minutes(world: TrustSetup, pem: str) -> None:
    world.put(pem)
    first = world.trust(NAME)
    world.put(pem * 2)
    world.seconds = MAX_AGE_SECONDS
    assert world.trust(NAME) is not first
    assert world.made == [pem, pem * 2]


@pytest.mark.parametrize(
    "text", ["{pem}", "our authority\n{pem}\n{pem}", "{pem}\r\n", "\ufeffBehörde\n{pem}"]
)
def test_certificates_are_taken_with_text_around_them(world: TrustSetup, pem: str, text: str) -> None:
    world.put(text.replace("{pem}", pem))
    assert world.trust(NAME)


CUT_OFF = "-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n"


@pytest.mark.parametrize(
    "text",
    [
        "canary",
        "",
        CUT_OFF,
        CUT_OFF + "-----END CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----",
        "é canary",
        "{pem}" + CUT_OFF.replace("Y2", "!!") + "-----END CERTIFICATE-----\n",
    ],
    ids=["text", "nothing", "cut off", "no certificate", "a key", "not ASCII", "one of two broken"],
)
def test_malformed_certificates_are_refused_without_being_shown(
    world: TrustSetup, pem: str, text: str
) -> None:
    world.put(text.replace("{pem}", pem))
    with pytest.raises(SettingsError, match=f"{NAME}, .* holds no readable PEM certificates") as caught:
        world.trust(NAME)
    assert "canary" not in reported(caught.value)
    assert "Y2FuYXJ5" not in reported(caught.value)
    assert world.made == []


def test_missing_parameter_is_named_with_next_step(world: TrustSetup) -> None:
    with pytest.raises(
        SettingsError, match=f"{NAME}, .* does not exist; store the trusted certificates there as a"
    ):
        world.trust(NAME)


def test_parameter_of_another_type_is_named_with_next_step(world: TrustSetup, pem: str) -> None:
    world.put(pem, "SecureString")
    with pytest.raises(
        SettingsError,
        match=f"{NAME}, .* is a SecureString; store the certificates as",
    ):
        world.trust(NAME)


def test_denied_parameter_is_an_error_of_parameter_store(world: TrustSetup) -> None:
    world.parameters.fails["read"] = ParameterStoreError("denied", advice="allow it")
    with pytest.raises(ParameterStoreError, match="denied"):
        world.trust(NAME)


# Against a server with that certificate.


class Trusting(Caller):
    """A caller whose certificates are in a parameter."""

    def __init__(self, pem: str) -> None:
        super().__init__()
        parameters, clock = FakeParameterStore(), Clock()
        parameters.put(NAME, pem, "String")
        self._endpoint = HttpTokenEndpoint(
            HttpTransport(now=clock.now),
            now=clock.now,
            sleep=self._sleep,
            private_trust=PrivateTrust(
                lambda: parameters, lambda text: HttpTransport(now=clock.now, certificates=text)
            ),
        )


@pytest.fixture
def trusting(pem: str) -> Trusting:
    return Trusting(pem)


def test_endpoint_of_a_trusted_authority_is_accepted(
    serve: Serve, trusting: Trusting, tls: ssl.SSLContext
) -> None:
    assert trusting.request(serve(TOKEN, tls=tls).url, ca_parameter_name=NAME).body == TOKEN_BODY


@pytest.mark.parametrize("trusted", ["authority.pem", "endpoint.pem"])
def test_private_authority_or_its_certificate_alone_is_enough(
    serve: Serve, tmp_path: Path, trusted: str
) -> None:
    write_private_chain(tmp_path / "authority.pem", tmp_path / "endpoint.pem")
    peer = serve(TOKEN, tls=server_context(tmp_path / "endpoint.pem"))
    trusting = Trusting((tmp_path / trusted).read_text().partition("-----BEGIN PRIVATE KEY")[0])
    assert trusting.request(peer.url, ca_parameter_name=NAME).body == TOKEN_BODY


def test_only_rotations_that_name_the_certificates_trust_them(
    serve: Serve, trusting: Trusting, tls: ssl.SSLContext
) -> None:
    peer = serve(TOKEN, tls=tls)
    trusting.request(peer.url, ca_parameter_name=NAME)
    with pytest.raises(TokenRequestError, match=r"certificate is not trusted; .*ca_parameter_name"):
        trusting.request(peer.url)


def test_verify_url_is_not_trusted_by_them(serve: Serve, trusting: Trusting, tls: ssl.SSLContext) -> None:
    peer = serve(TOKEN, tls=tls)
    trusting.request(peer.url, ca_parameter_name=NAME)
    with pytest.raises(TokenVerificationError, match="certificate is not trusted"):
        trusting._endpoint.probe(peer.url, Secret(CANARY_TOKEN), deadline=Deadline(lambda: 10))


def test_proxy_is_not_trusted_by_them(
    serve: Serve, trusting: Trusting, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, peer = serve(TOKEN, tls=tls), serve(TOKEN, tls=tls)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with pytest.raises(TokenRequestError, match="the proxy's certificate is not trusted"):
        trusting.request(peer.url, ca_parameter_name=NAME)
    assert (proxy.requests, peer.requests) == ([], [])


def test_certificate_of_another_authority_is_refused(
    serve: Serve, trusting: Trusting, tmp_path: Path
) -> None:
    write_self_signed(tmp_path / "other.pem")
    peer = serve(TOKEN, tls=server_context(tmp_path / "other.pem"))
    with pytest.raises(TokenRequestError, match="certificate is not trusted"):
        trusting.request(peer.url, ca_parameter_name=NAME)


def test_public_authorities_stay_trusted(pem: str) -> None:
    adapter: Any = HttpTransport(now=Clock().now, certificates=pem)._session.get_adapter("https://x")
    plain: Any = HttpTransport(now=Clock().now)._session.get_adapter("https://x")
    public = adapter._context(ssl_bundle(), None).cert_store_stats()["x509"]
    assert public == plain._context(ssl_bundle(), None).cert_store_stats()["x509"] > 100
    context = adapter._context(ssl_bundle(), pem)
    assert context.cert_store_stats()["x509"] == public + 1
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def ssl_bundle() -> str:
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    return str(DEFAULT_CA_BUNDLE_PATH)
