"""Trust in a private certificate authority of a token endpoint, whose certificates are in a parameter."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rotator.adapters.runtime.token_endpoint import Transport
from rotator.errors import SettingsError
from rotator.renewal.models import Parameter
from rotator.renewal.ports import ParameterStore

MAX_AGE_SECONDS = 300.0
"""The age at which certificates are read again, so that a long-lived process notices a change."""


@dataclass(frozen=True)
class PrivateTrust:
    """Makes transports that trust the certificates in a parameter; ``clock`` is monotonic, in seconds."""

    parameters: Callable[[], ParameterStore]
    make: Callable[[str], Transport]
    clock: Callable[[], float] = time.monotonic
    _made: dict[str, tuple[float, str, Transport]] = field(default_factory=dict, init=False)

    def __call__(self, ca_parameter_name: str) -> Transport:
        """Return the transport that trusts the certificates in this parameter.

        Raises SettingsError if the parameter holds no certificates, ParameterStoreError if it cannot be read.
        """
        read_at, certificates, transport = self._made.get(ca_parameter_name, (0.0, "", None))
        if transport and self.clock() - read_at < MAX_AGE_SECONDS:
            return transport
        found = self.parameters().read([ca_parameter_name])
        current = _certificates(ca_parameter_name, next(iter(found.values()), None))
        if transport is None or current != certificates:  # a new transport would lose the open connections
            transport = self.make(current)
        self._made[ca_parameter_name] = (self.clock(), current, transport)
        return transport


def _certificates(name: str, parameter: Parameter | None) -> str:
    """Return the certificates in a parameter; raises SettingsError if it holds none."""
    if parameter is None:
        problem = "does not exist"
        advice = "store the trusted certificates there as a String, or correct ca_parameter_name"
    elif parameter.type != "String":
        problem = f"is a {parameter.type}"
        advice = "store the certificates as a String: they are not secret"
    else:
        certificates = parameter.value.encode("ascii", "ignore").decode()  # comments may not be ASCII
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificates)
        except (ssl.SSLError, ValueError, TypeError):
            problem = "holds no readable PEM certificates"
            advice = "store each certificate as -----BEGIN CERTIFICATE----- ... -----END CERTIFICATE-----"
        else:
            return certificates
    # Raised outside the handler: the text may be a secret by mistake.
    raise SettingsError(f"the parameter {name}, which ca_parameter_name names, {problem}", advice=advice)
