"""Readers of settings that hold a JSON object or a list.

An error shows the key that is wrong. It never shows a value, which may be a secret by mistake.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from rotator.config.validators import InvalidValue, matching
from rotator.oauth.client_assertion import ASSERTION_PARAMS
from rotator.oauth.json_object import REPEATED, read_object
from rotator.oauth.models import UNUSABLE_TOKEN_TYPES, plain_token_type

T = TypeVar("T")

RESERVED_PARAMS = frozenset({"grant_type", "scope", "client_id", "client_secret"}) | ASSERTION_PARAMS
RESERVED_HEADERS = frozenset(
    {
        *("authorization", "proxy-authorization", "host", "content-length", "transfer-encoding"),
        *("connection", "expect", "te", "trailer", "upgrade"),
    }
)
"""Headers that authenticate the client or belong to HTTP itself, in lower case."""

RESPONSE_MEMBERS = ("access_token", "token_type", "scope", "expires_in", "expires_on", "expires_at")
SECRET_MEMBERS = ("client_id", "client_secret")

_TOKEN_TYPE = re.compile(r"[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]{1,256}")

# JSON may contain a lone surrogate, half of a character, which cannot be sent.
_param_name = matching(r"[^\ud800-\udfff]+", "is not a valid name")
_param_text = matching(
    r"[^\ud800-\udfff]*", "has a value that is not a text, a number, a boolean or a list of these"
)
_field_name = matching(  # RFC 9110, 5.1
    r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}", "is not a valid header name (RFC 9110, 5.1)"
)
_field_value = matching(  # RFC 9110, 5.5, in ASCII
    r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", "has a value that is not one line of printable ASCII"
)
_place = matching(
    r"[^\x00-\x1f\x7f\ud800-\udfff]{1,256}", "does not name a member of an object, such as name or outer.name"
)


def accepted_token_types(value: Any) -> tuple[str, ...]:
    """Read token types that are accepted as Bearer: a list, or names separated by commas."""
    types = [each.strip() for each in value.split(",")] if isinstance(value, str) else value
    usable = isinstance(types, list | tuple) and all(
        isinstance(each, str) and _TOKEN_TYPE.fullmatch(each) for each in types
    )
    if not usable or UNUSABLE_TOKEN_TYPES.keys() & map(plain_token_type, types):
        raise InvalidValue(
            "token types separated by commas (in a rotation document also a list), except "
            f"{_words(UNUSABLE_TOKEN_TYPES.values())}, which are not Bearer tokens"
        )
    return tuple(types)


def _object_of(
    content: str,
    check_name: Callable[[str], str],
    read: Callable[[Any], T],
    *,
    reserved: Collection[str] = (),
) -> Callable[[Any], Mapping[str, T]]:
    """Make a reader of a JSON object; ``check_name`` returns names of the same meaning in one form."""
    takes = f"a JSON object of {content}" + (f", except {_words(reserved)}" if reserved else "")

    def parse(value: Any) -> Mapping[str, T]:
        members = read_object(value) if isinstance(value, str) else value
        if not isinstance(members, dict):
            raise InvalidValue(takes, shape_only=True)
        found: dict[str, T] = {}
        names = set()
        for name, member in members.items():
            try:
                checked = check_name(name)
                if checked in reserved:
                    raise InvalidValue("is reserved")
                if member is REPEATED or checked in names:
                    raise InvalidValue("is given twice")
                names.add(checked)
                found[name] = read(member)
            except InvalidValue as refused:
                raise InvalidValue(f"{takes}; its key {name[:64]!r} {refused}", shape_only=True) from None
        return MappingProxyType(found)

    return parse


def _words(names: Collection[str]) -> str:
    return ", ".join(sorted(names))


def _known(names: Collection[str]) -> Callable[[str], str]:
    return matching("|".join(names), "is not a known name")


def _header_name(name: str) -> str:
    return _field_name(name).lower()


def _header_value(value: Any) -> str:
    return _field_value(str(value) if isinstance(value, int) and not isinstance(value, bool) else value)


def _param_values(value: Any) -> str | tuple[str, ...]:
    if not isinstance(value, list):
        return _param_value(value)
    if not value:
        raise InvalidValue("has an empty list")
    return tuple(map(_param_value, value))


def _param_value(value: Any) -> str:
    is_number = isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))
    return json.dumps(value) if is_number else _param_text(value)


token_request_params = _object_of(
    'texts, numbers, booleans or lists of these, such as {"expiration": "86400"}',
    _param_name,
    _param_values,  # a list gives a parameter several values
    reserved=RESERVED_PARAMS,
)
token_request_headers = _object_of(
    'headers such as {"X-Tenant": "a"}', _header_name, _header_value, reserved=RESERVED_HEADERS
)
secret_params = _object_of(
    'parameters and members of the secret, such as {"password": "api_password"}',
    _param_name,
    _place,
    reserved=RESERVED_PARAMS,
)
secret_headers = _object_of(
    'headers and members of the secret, such as {"X-API-Key": "api_key"}',
    _header_name,
    _place,
    reserved=RESERVED_HEADERS,
)
secret_members = _object_of(
    f'{_words(SECRET_MEMBERS)}, such as {{"client_secret": "oauth.clientSecret"}}',
    _known(SECRET_MEMBERS),
    _place,
)
response_members = _object_of(
    f'{_words(RESPONSE_MEMBERS)}, such as {{"access_token": "data.token"}}', _known(RESPONSE_MEMBERS), _place
)
