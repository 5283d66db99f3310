"""Rotation documents: the settings of one rotation, each checked when it is read.

The environment, the command line and rotation documents have the same keys. An error names the setting, its
value and the accepted values. A value that may be a secret by mistake is described and not shown.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from rotator.config import assertion_settings, json_settings, validators
from rotator.config.validators import InvalidValue
from rotator.errors import SettingsError
from rotator.oauth.json_object import REPEATED, read_object
from rotator.oauth.models import (
    MAX_LIFETIME_SECONDS,
    BasicEncoding,
    ClientAuthentication,
    SigningAlgorithm,
    TokenRequestFormat,
)
from rotator.renewal.models import TIER_LIMITS, Parameter, Rotation

REQUIRED_SETTINGS = {
    "secret_id": "the name or ARN of the secret that holds the client credentials",
    "parameter_name": "the name of the parameter for the token, such as /healthwise/token",
}

_KMS_KEY = (
    r"alias/[A-Za-z0-9/_-]{1,250}|[A-Za-z0-9-]{1,64}|arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:(key|alias)/\S+",
    "the id or ARN of a KMS key, or alias/NAME",
)

ROTATION_SETTINGS: Mapping[str, Callable[[Any], Any]] = {
    "name": validators.matching(r"[A-Za-z0-9_.-]{1,64}", "1 to 64 letters, digits and ._-"),
    # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
    "secret_id": validators.matching(
        r"[A-Za-z0-9/_+=.@:-]{1,2048}", "the name or ARN of a secret", shape_only=True
    ),
    "parameter_name": validators.parameter_name,
    "token_endpoint": validators.url,
    "scope": validators.scope,
    "grant_type": validators.matching(
        r"[\x21\x23-\x5b\x5d-\x7e]{1,256}", "the name or URL of a grant, such as client_credentials"
    ),
    "token_request_format": validators.one_of(*TokenRequestFormat),
    "token_request_params": json_settings.token_request_params,
    "token_request_headers": json_settings.token_request_headers,
    "client_authentication": validators.one_of(*ClientAuthentication),
    "client_id_in_body": validators.boolean,
    "basic_encoding": validators.one_of(*BasicEncoding),
    "secret_members": json_settings.secret_members,
    "secret_params": json_settings.secret_params,
    "secret_headers": json_settings.secret_headers,
    "response_members": json_settings.response_members,
    "accepted_token_types": json_settings.accepted_token_types,
    # The value is not shown: it may be the private key by mistake.
    "signing_key_id": validators.matching(*_KMS_KEY, shape_only=True),
    "signing_algorithm": validators.one_of(*SigningAlgorithm),
    "key_id": validators.matching(
        r"[\x21-\x7e]{1,256}", "1 to 256 printable ASCII characters without spaces", shape_only=True
    ),
    "assertion_audience": validators.audience,
    "ca_parameter_name": validators.any_parameter_name,
    "renew_at": validators.number(0.1, 0.95, "a fraction from 0.1 to 0.95"),
    "lifetime": validators.seconds(60, MAX_LIFETIME_SECONDS),
    "fallback_lifetime": validators.seconds(60, MAX_LIFETIME_SECONDS),
    "kms_key_id": validators.matching(*_KMS_KEY),
    "tier": validators.one_of(*TIER_LIMITS),
    "verify_url": validators.url,
    "secret_rollover": validators.boolean,
}
"""Each key of a rotation with its reader. The defaults are those of renewal.models.Rotation."""

_NEW_NAME = validators.matching(
    r"(?=[_.-]*[A-Za-z0-9])[A-Za-z0-9_.-]{1,64}",
    "1 to 64 letters, digits and ._-, at least one of them a letter or digit",
)
"""Existing rotation documents whose name has no letter or digit are still served."""


def read_document(
    path: str,
    parameter_name: str,
    parameter: Parameter,
    allowed_hosts: frozenset[str],
    kms_key_id: str | None = None,
) -> Rotation:
    """Read one rotation from its document: a JSON object in an SSM String under the path.

    The rotation is named after the parameter, and its key is ``kms_key_id``, unless the document sets others.
    Raises SettingsError, which names the document and the key in it.
    """
    if parameter.type != "String":
        raise SettingsError(
            f"the rotation document {parameter_name} is a parameter of type {parameter.type}",
            advice="store the document as a String: it holds no secret",
        )
    given = read_object(parameter.value)
    if given is None:
        raise SettingsError(
            f"the rotation document {parameter_name} is not a JSON object",
            advice='write it as {"secret_id": "...", "parameter_name": "..."}',
        )
    given = {key: value for key, value in given.items() if value is not None}
    for key in sorted(given.keys() - ROTATION_SETTINGS.keys()):
        raise SettingsError(
            f"the rotation document {parameter_name} has the unknown key {key[:64]!r}",
            advice=did_you_mean(key, ROTATION_SETTINGS),
        )
    for key in sorted(key for key, value in given.items() if value is REPEATED):
        raise SettingsError(
            f"the rotation document {parameter_name} has the key {key} twice, with different values",
            advice="remove one of the two",
        )
    given.setdefault("name", document_name(path, parameter_name))
    if kms_key_id:
        given.setdefault("kms_key_id", kms_key_id)
    return read_rotation(given, allowed_hosts, lambda key: f"{key} in the rotation document {parameter_name}")


def named_parameter(document: Parameter) -> str | None:
    """Return the token parameter that a document names, even if the document is invalid otherwise."""
    try:
        return validators.parameter_name(json.loads(document.value)["parameter_name"])
    except (ValueError, RecursionError, TypeError, KeyError, InvalidValue):
        return None


def read_options(name: str, given: Mapping[str, Any], allowed_hosts: frozenset[str]) -> Rotation:
    """Read a rotation from command-line options, one for each key of a document; raises SettingsError."""
    return read_rotation({"name": name, **given}, allowed_hosts, lambda key: "--" + key.replace("_", "-"))


def read_name(value: str, *, new: bool) -> str:
    """Return a rotation name from the command line; raises SettingsError, if ``new`` also for ``..``."""
    return str(read_value("NAME", value, _NEW_NAME if new else ROTATION_SETTINGS["name"]))


def document_name(path: str, parameter_name: str) -> str:
    """Return the default name of a document's rotation: the name of the document below the path."""
    return parameter_name.removeprefix(path.rstrip("/") + "/").replace("/", ".")


def did_you_mean(key: str, known: Any, shown: Callable[[str], str] = lambda name: name) -> str:
    """Return the advice for an unknown key: a known key with a similar name, or all known keys."""
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"did you mean {shown(close[0])}?"
    return "valid names are: " + ", ".join(sorted(map(shown, known)))


def read_rotation(
    given: Mapping[str, Any], allowed_hosts: frozenset[str], label: Callable[[str], str]
) -> Rotation:
    """Read a rotation from its settings by key; raises SettingsError if one is missing or not allowed.

    Credentials may be sent to any host if no hosts are given. ``label`` returns a setting's name in errors.
    """
    for key, content in REQUIRED_SETTINGS.items():
        if key not in given:
            raise SettingsError(f"{label(key)} is not set", advice=f"set it to {content}")
    rotation = Rotation(**{"name": "default", **read_values(given, ROTATION_SETTINGS, label)})
    _check_given_once(rotation, label)
    assertion_settings.check(rotation, label)
    for key, url in (("token_endpoint", rotation.token_endpoint), ("verify_url", rotation.verify_url)):
        host = urlsplit(url or "").hostname
        if host and allowed_hosts and host not in allowed_hosts:
            raise SettingsError(
                f"{label(key)} names the host {host}, which is not in ROTATOR_ALLOWED_HOSTS",
                advice="add the host there if it may receive credentials, or set another host",
            )
    return rotation


def _check_given_once(rotation: Rotation, label: Callable[[str], str]) -> None:
    """Raise SettingsError for a parameter or header that is set both directly and from the secret."""
    for kind in ("params", "headers"):
        one, other = f"token_request_{kind}", f"secret_{kind}"
        names = {name.lower() for name in getattr(rotation, one)}
        for name in sorted(name for name in getattr(rotation, other) if name.lower() in names):
            raise SettingsError(
                f"{label(one)} and {label(other)} both have the key {name[:64]!r}",
                advice="remove the key from one of the two",
            )


def read_values(
    given: Mapping[str, Any], readers: Mapping[str, Callable[[Any], Any]], label: Callable[[str], str]
) -> dict[str, Any]:
    """Return the value of each given setting that has a reader; raises SettingsError."""
    return {key: read_value(label(key), given[key], read) for key, read in readers.items() if key in given}


def read_value(label: str, value: Any, parse: Callable[[Any], Any]) -> Any:
    """Return the value of a setting from its reader; raises SettingsError, which names the label."""
    try:
        return parse(value)
    except InvalidValue as refused:
        got = _shape(value) if refused.shape_only else _shown(value)
        raise SettingsError(f"{label} is {got}", advice=f"it must be {refused}") from refused


_JSON_TYPES = {dict: "an object", list: "a list", bool: "a boolean", int: "a number", float: "a number"}


def _shape(value: Any) -> str:
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    return f"of the wrong type: {_JSON_TYPES.get(type(value), type(value).__name__)}"


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + '..."'


class DocumentStore(Protocol):
    """The rotation documents, as an operator writes them; the Lambda function only reads them.

    Every method raises ParameterStoreError if AWS denies, throttles or refuses the call.
    """

    def write(self, document: str, text: str, *, overwrite: bool) -> None:
        """Store a document; raises ConcurrentUpdate if another process is writing it, too.

        Without ``overwrite``, it must be new, and ConcurrentUpdate is raised if it exists.
        """

    def delete(self, document: str) -> bool:
        """Delete a document; return whether it existed."""
