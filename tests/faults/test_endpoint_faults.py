"""The Authorization API in every way in which it fails, for once and for good, while a token is due.

Each answer that can hold text echoes the secret, as servers do that quote what they were sent.
"""

from __future__ import annotations

import gzip
import json
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime

import pytest

from adapters.caller import BASIC
from fake_ports import CANARY_SECRET
from faults.endpoints import (
    DAY_TOKEN_BODY,
    GOOD,
    MANY,
    Endpoint,
    Stage,
    Start,
    api,
    deaf,
    hung_up_once,
    nowhere,
    peer,
    refused,
    wrong_certificate,
)
from faults.timing import shorten_timeouts
from faults.world import HEALTHY, STORED_TOKEN, FaultySystem
from rotator.adapters.runtime.http_transport import MAX_BODY_BYTES
from scripted_server import answer, half, half_then_reset, half_then_silence, head, raw, silence

ECHO = f"{CANARY_SECRET} {BASIC} {STORED_TOKEN}"
REFUSAL = json.dumps({"error": "invalid_client", "error_description": ECHO})
ELSEWHERE = {"Location": f"/?{ECHO}"}
NO_HEADER = f"HTTP/1.1 503 Sorry\r\n{ECHO}\r\nContent-Length: 0\r\n\r\n".encode()
HTML = f"<html>{ECHO}</html>"
BOMB = gzip.compress(DAY_TOKEN_BODY.encode() + bytes(64 * 1024 * 1024))

LATER = "the next run tries again"
READ_ITS_MANUAL = "check token_endpoint and the endpoint's documentation"
SEVERAL = -1  # as many requests as there is time for


def retry_after(wait: str, times: int = MANY) -> Start:
    return api(times, status=429, body=REFUSAL, headers={"Retry-After": wait})


def retry_in_20_seconds(stage: Stage) -> Endpoint:
    date = format_datetime(stage.timing.now() + timedelta(seconds=20), usegmt=True)
    return retry_after(date, times=1)(stage)


@dataclass(frozen=True)
class Cell:
    """How the endpoint fails, and what comes of it: outcome, advice, requests that arrived, waits."""

    start: Start
    outcome: str
    reported: str = ""
    requests: int = SEVERAL
    waits: float = 0


def rejected(start: Start, reported: str) -> Cell:
    """The run fails after one request, because another could not help."""
    return Cell(start, "failed", reported, requests=1)


def given_up(start: Start, reported: str, *, requests: int = SEVERAL) -> Cell:
    """The run fails when there is no time for another request."""
    return Cell(start, "failed", reported, requests)


def overcome(start: Start, *, requests: int = 2, waits: float = 0) -> Cell:
    """The run gets its token by another request."""
    return Cell(start, "rotated", requests=requests, waits=waits)


UNTRUSTED = "set ca_parameter_name to a parameter with the certificate of a private authority"
NOT_JSON = "sent an answer that is not a JSON object; " + READ_ITS_MANUAL
NOT_FOLLOWED = (
    "could send the credentials to another host; set token_endpoint to the URL to which the redirect leads"
)
NO_HELP = "HTTP {}, error invalid_client; check client_id and client_secret in the secret"

CELLS = {
    # Below HTTP.
    "refused": given_up(refused, LATER, requests=0),
    "DNS failure": given_up(nowhere("https://nowhere.invalid/token"), "could not be resolved", requests=0),
    "wrong certificate": Cell(wrong_certificate, "failed", UNTRUSTED, requests=0),
    "hung up once": overcome(hung_up_once, requests=1),
    "connect timeout": given_up(deaf, "did not accept a connection in time", requests=0),
    "read timeout": given_up(peer(silence), "did not answer in time"),
    "read timeout once": overcome(peer(silence, GOOD)),
    "stalled body": given_up(peer(half_then_silence), "did not answer in time"),
    "stalled body once": overcome(peer(half_then_silence, GOOD)),
    "body cut short": given_up(peer(half), "closed the connection"),
    "body cut short once": overcome(peer(half, GOOD)),
    "reset": given_up(peer(half_then_reset), "closed the connection"),
    "reset once": overcome(peer(half_then_reset, GOOD)),
    # Redirects and refusals.
    **{
        str(status): rejected(
            api(status=status, body=REFUSAL, headers={"Location": f"/?{ECHO}"}), NOT_FOLLOWED
        )
        for status in (301, 302, 303, 307, 308)
    },
    **{
        str(status): rejected(api(status=status, body=REFUSAL), NO_HELP.format(status))
        for status in (400, 401, 403)
    },
    "404 with HTML": rejected(api(status=404, body=HTML), "without a known error code; check token_endpoint"),
    "200 with an error": rejected(api(body=REFUSAL), NO_HELP.format(200)),
    # Outages.
    **{
        str(status): given_up(api(status=status, body=REFUSAL), f"answered HTTP {status}")
        for status in (408, 425, 429, 500, 502, 503)
    },
    **{
        f"{status} once": overcome(api(1, status=status, body=REFUSAL))
        for status in (408, 425, 429, 500, 502, 503)
    },
    "503 with a line that is no header": given_up(peer(raw(NO_HEADER)), "answered HTTP 503"),
    "503 in HTML twice": overcome(api(2, status=503, body=HTML), requests=3),
    # 429 with Retry-After.
    "429 for 7 seconds": given_up(retry_after("7"), "asked for a retry after 7 s"),
    "429 for 7 seconds once": overcome(retry_after("7", 1), waits=7),
    "429 until a date": overcome(retry_in_20_seconds, waits=18),  # dates are in whole seconds
    "429 until a date long ago": overcome(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 1)),
    "429 for 30 years": rejected(retry_after("999999999"), "asked for a retry after 999999999 s"),
    "429 until the year 9999": rejected(retry_after("Fri, 31 Dec 9999 23:59:59 GMT"), LATER),
    "429 until no date": overcome(retry_after(ECHO, 1)),
    "429 for a negative time": overcome(retry_after("-5", 1)),
    # 200 with something else than a token.
    "HTML": rejected(api(body=HTML), NOT_JSON),
    "nothing": rejected(api(body="", status=200), "sent an answer without a body; " + READ_ITS_MANUAL),
    "truncated JSON": rejected(api(body=DAY_TOKEN_BODY[:-9]), NOT_JSON),
    "huge body": rejected(
        api(body=ECHO * MAX_BODY_BYTES), f"more than {MAX_BODY_BYTES} bytes; {READ_ITS_MANUAL}"
    ),
    "gzip bomb": rejected(
        peer(answer(body=BOMB, Content_Encoding="gzip")), f"more than {MAX_BODY_BYTES} bytes"
    ),
    "no gzip": rejected(peer(answer(body=ECHO.encode(), Content_Encoding="gzip")), "cannot be decompressed"),
    # Charsets: JSON is UTF-8, whatever the header says (RFC 8259, 8.1); UTF-16 is detected.
    "unknown charset": overcome(
        peer(answer(body=DAY_TOKEN_BODY.encode(), Content_Type="application/json; charset=klingon")),
        requests=1,
    ),
    "UTF-16": overcome(peer(answer(body=DAY_TOKEN_BODY.encode("utf-16"))), requests=1),
    "latin-1": rejected(peer(answer(body=DAY_TOKEN_BODY.replace("Bearer", "é").encode("latin-1"))), NOT_JSON),
    # Answers that are no HTTP.
    "no HTTP": given_up(peer(raw(ECHO.encode())), "closed the connection"),
    "endless header": given_up(peer(raw(head(1, 200, X=ECHO * MAX_BODY_BYTES))), LATER),
}
SLOW = {"connect timeout", "read timeout", "read timeout once", "stalled body", "stalled body once"}


@pytest.fixture
def stage(world: FaultySystem, tls: ssl.SSLContext) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(world.api, world.timing, stack, tls)


@pytest.mark.parametrize("name", CELLS)
def test_endpoint_fault_loses_no_token_and_next_run_recovers(
    name: str, world: FaultySystem, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = CELLS[name]
    world.store_token()
    if name in SLOW:
        shorten_timeouts(monkeypatch)
    endpoint = cell.start(stage)
    monkeypatch.setenv("ROTATOR_TOKEN_ENDPOINT", endpoint.address)

    run = world.run_once()

    assert run.outcome == cell.outcome
    assert cell.reported in run.error
    assert run.time_left > 0
    waits = world.timing.endpoint_slept
    assert sum(waits) >= cell.waits
    if cell.requests == SEVERAL:
        assert endpoint.requests() == len(waits) + 1 > 2
    else:
        assert endpoint.requests() == cell.requests
    if cell.outcome == "failed":
        assert world.tokens() == [STORED_TOKEN]
        assert world.next_rotate().outcome == "failed"

    world.api.misbehaviour.plan()
    monkeypatch.setenv("ROTATOR_TOKEN_ENDPOINT", world.api.token_endpoint)
    assert world.next_rotate().outcome == ("fresh" if cell.outcome == "rotated" else "rotated")
    assert len(world.tokens()) == 2
    assert world.health() == HEALTHY
    assert world.never_issued() == set()
    assert world.leaked() == []
