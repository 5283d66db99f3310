"""Token endpoints whose certificates come from a private authority: its own are in a parameter."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable

from rotator.adapters.runtime.token_endpoint import Transport
from rotator.errors import SettingsError
from rotator.renewal.models import Parameter
from rotator.renewal.ports import ParameterStore

MAX_AGE_SECONDS = 300.0
"""After which certificates are read again, so that a change takes effect in a process that lives on."""


class PrivateTrust:
    """Makes transports that trust the certificates in a parameter besides the public ones.

    Args:
        parameters: Returns the store that the certificates are read from.
        make: Makes a transport that trusts these certificates, too.
        clock: Returns seconds that never go back.
    """

    def __init__(
        self,
        parameters: Callable[[], ParameterStore],
        make: Callable[[str], Transport],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parameters = parameters
        self._make = make
        self._clock = clock
        self._made: dict[str, tuple[float, str, Transport]] = {}

    def __call__(self, ca_parameter_name: str) -> Transport:
        """Return the transport for endpoints whose authority is in this parameter.

        Raises SettingsError if it holds no certificates, ParameterStoreError if it cannot be read.
        """
        read_at, certificates, transport = self._made.get(ca_parameter_name, (None, None, None))
        if transport and read_at is not None and self._clock() - read_at < MAX_AGE_SECONDS:
            return transport
        found = self._parameters().read([ca_parameter_name])
        current = _certificates(ca_parameter_name, next(iter(found.values()), None))
        if transport is None or current != certificates:  # or its open connections would be lost
            transport = self._make(current)
        self._made[ca_parameter_name] = (self._clock(), current, transport)
        return transport


def _certificates(name: str, parameter: Parameter | None) -> str:
    """Return the text of a parameter that holds certificates; raises SettingsError for any other."""
    if parameter is None:
        raise SettingsError(
            f"there is no parameter {name} of trusted certificates",
            advice="store them there as a String, or set ca_parameter_name to the one that has them",
        )
    if parameter.type != "String":
        raise SettingsError(
            f"the parameter {name} of trusted certificates is a {parameter.type}",
            advice="store it as a String: certificates are no secret",
        )
    certificates = parameter.value.encode("ascii", "ignore").decode()  # text around them may be more
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificates)
    except (ssl.SSLError, ValueError, TypeError):
        malformed = True
    else:
        malformed = False
    if malformed:  # outside the handler: what was read may be a secret by mistake
        raise SettingsError(
            f"the parameter {name} holds no PEM certificates that can be read",
            advice="store each of them as -----BEGIN CERTIFICATE----- ... -----END CERTIFICATE-----",
        )
    return certificates
