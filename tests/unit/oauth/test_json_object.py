"""JSON objects from untrusted sources."""

from __future__ import annotations

import math

import pytest

from rotator.oauth.json_object import REPEATED, BlockedPath, find, read_object


@pytest.mark.parametrize("text", ['\ufeff{"a": 1}', '\ufeff{"a": 1}'.encode(), '{"a": 1}'])
def test_byte_order_mark_is_skipped(text: str | bytes) -> None:
    assert read_object(text) == {"a": 1}


def test_only_a_member_with_two_values_is_repeated() -> None:
    found = read_object('{"a": 1, "a": 2, "b": 3, "b": 3}')
    assert found == {"a": REPEATED, "b": 3}
    number = (read_object('{"a": NaN}') or {})["a"]
    assert math.isnan(number)


def test_blocked_path_names_the_value_by_its_path() -> None:
    with pytest.raises(BlockedPath, match=r"^a list in a\.b$"):
        find({"a": {"b": [1]}}, "a.b.c")
