"""HttpTokenEndpoint shows no secret in errors and logs, for any answer of the endpoint."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import pytest

from adapters.caller import BASIC, GATEWAY_KEY, Caller
from fake_ports import CANARY_SECRET, CANARY_TOKEN
from leak_check import credential_forms, foreign, reported, secrets_in, token_forms
from rotator.adapters.runtime import http_transport
from rotator.devstack.http_server import LOOPBACK, free_port
from rotator.errors import RotatorError
from scripted_server import OUTAGE, TOKEN, Serve, answer, half_then_reset, half_then_silence, raw, silence

ECHO = json.dumps(
    {"error": CANARY_SECRET, "error_description": f"{CANARY_TOKEN} {BASIC} {GATEWAY_KEY}"}
).encode()

NO_HEADER = f"HTTP/1.1 503 Sorry\r\n{CANARY_SECRET}\r\nContent-Length: 0\r\n\r\n".encode()

FAILURES: dict[str, Callable[[Serve], str]] = {
    "refused connection": lambda _: f"http://{LOOPBACK}:{free_port()}",
    "unknown host": lambda _: "http://nowhere.invalid",
    "unusable address": lambda _: "http://[::1",
    "no tls": lambda serve: serve(TOKEN).url.replace("http:", "https:"),
    "echo in a refusal": lambda serve: serve(answer(401, ECHO)).url,
    "echo in an outage": lambda serve: serve(answer(503, ECHO, Retry_After=CANARY_SECRET)).url,
    "echo in a redirect": lambda serve: serve(answer(302, ECHO, Location=f"/?{CANARY_SECRET}")).url,
    "echo without end": lambda serve: serve(answer(body=ECHO * 1000)).url,
    "echo as bad gzip": lambda serve: serve(answer(body=ECHO, Content_Encoding="gzip")).url,
    "echo as a bad header": lambda serve: serve(raw(b"HTTP/1.1 " + ECHO + b"\r\n\r\n")).url,
    "echo as no header": lambda serve: serve(raw(NO_HEADER)).url,
    "no answer": lambda serve: serve(silence).url,
    "stalled body": lambda serve: serve(half_then_silence).url,
    "reset": lambda serve: serve(half_then_reset).url,
}
IN_THE_BODY = {"echo without end", "echo as bad gzip", "stalled body", "reset"}
CALLS = {
    "basic": Caller.request,
    "post": Caller.post,
    "keyed": Caller.keyed,
    "probe": Caller.probe,
    "keyed probe": Caller.keyed_probe,
}
CASES = [
    pytest.param(failure, call, id=f"{failure}-{name}")
    for failure in FAILURES
    for name, call in CALLS.items()
    if not ("probe" in name and failure in IN_THE_BODY)  # which a probe does not read
]

SECRETS = credential_forms("client", CANARY_SECRET) | token_forms(CANARY_TOKEN) | {GATEWAY_KEY}


@pytest.mark.parametrize(("failure", "call"), CASES)
def test_failure_leaks_no_secret_in_errors_or_logs(
    serve: Serve,
    call: Callable[[Caller, str], object],
    failure: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_transport, "READ_TIMEOUT_SECONDS", 0.1)
    for logger in ("", "rotator", "urllib3", "requests"):
        caplog.set_level(logging.DEBUG, logger=logger or None)
    url = FAILURES[failure](serve)
    with pytest.raises(RotatorError) as caught:
        call(Caller(budget=3.0), url)
    logged = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert secrets_in(reported(caught.value) + caplog.text + str(logged), SECRETS) == []
    # The exceptions of requests hold the request, so none may travel along.
    assert foreign(caught.value, RotatorError) == []


def test_success_leaks_no_secret_in_logs(
    serve: Serve, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    peer = serve(OUTAGE, TOKEN)
    caller.request(peer.url)
    caller.post(peer.url)
    caller.probe(peer.url)
    caller.keyed(peer.url)
    caller.keyed_probe(peer.url)
    assert secrets_in(caplog.text, SECRETS) == []
