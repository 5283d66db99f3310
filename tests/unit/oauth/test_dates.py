"""Dates in HTTP headers."""

from __future__ import annotations

import time
from datetime import UTC

import pytest

from fake_ports import START
from rotator.oauth.dates import http_date


def test_http_date_is_read_in_utc_and_other_text_is_none() -> None:
    assert http_date("Tue, 24 Nov 2026 06:00:00 GMT") == START
    assert http_date("Tue, 24 Nov 2026 07:00:00 +0100") == START
    assert http_date("Tue, 24 Nov 2026 06:00:00 -0000") == START
    assert http_date("yesterday") is None


def test_http_date_is_in_utc_in_any_local_timezone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        for text in ("Tue, 24 Nov 2026 07:00:00 +0100", "Tue, 24 Nov 2026 06:00:00 -0000"):
            date = http_date(text)
            assert date == START
            assert date.tzinfo is UTC
    finally:
        monkeypatch.undo()
        time.tzset()
