"""The checks of one rotation: its secret, token endpoint, a new token, parameters and key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from rotator.doctor.check import ROTATE, Check, NotChecked, State, carry_out
from rotator.doctor.context import Instruments, Options, Subject
from rotator.doctor.credentials import NewToken, request_token
from rotator.doctor.labels import CHECK as LABELS
from rotator.doctor.labels import check_labels, full_parameters
from rotator.doctor.signing_key import CHECK as SIGNING_KEY
from rotator.doctor.signing_key import check_signing_key
from rotator.errors import InvalidTokenResponse, RotatorError
from rotator.oauth import token_response
from rotator.oauth.models import AccessToken, ClientAuthentication, ClientCredentials
from rotator.renewal import policy
from rotator.renewal.durations import describe_seconds, seconds_until
from rotator.renewal.models import TIER_LIMITS, Rotation, Stored
from rotator.renewal.policy import TokenState
from rotator.renewal.renew import check_lifetime, check_size

CHECKS = ("secret", "token endpoint", "credentials", "token", "size", "parameter", "key")
"""The names of the checks, in their order."""

AWS_KEY = "alias/aws/ssm"
"""The default key of SecureStrings; AWS creates it on first use."""


@dataclass(repr=False)
class RotationChecks:
    """One rotation's checks. Each stores the values that later checks need."""

    rotation: Rotation
    stored: Stored | RotatorError
    subject: Subject
    tools: Instruments
    options: Options
    credentials: ClientCredentials = field(init=False)
    issued: NewToken = field(init=False)
    token: AccessToken = field(init=False)

    def all(self, identity: Check, timed: Sequence[Check], guarantee: Check) -> Iterator[Check]:
        """Yield every check in the order of ``CHECKS``.

        A rotation with a signing key has one more check, and so has one with a parameter of 100 versions.

        Args:
            identity: The check of the caller's identity.
            timed: The checks on which every check of a time depends.
            guarantee: The check of the guarantee to consumers.
        """
        name = self.rotation.name
        sources = []
        for source in self.sources(identity):
            sources.append(source)
            yield source
        credentials = carry_out("credentials", self._request, needs=sources, rotation=name)
        yield credentials
        token = carry_out("token", lambda: self._shape(guarantee), needs=(credentials, *timed), rotation=name)
        yield token
        yield carry_out("size", self._size, needs=(token,), rotation=name)
        yield carry_out("parameter", self._parameter, needs=(identity,), rotation=name)
        if full := full_parameters(self.rotation, self.stored):
            yield carry_out(
                LABELS, lambda: check_labels(full, self.tools.inspector), needs=(identity,), rotation=name
            )
        yield carry_out("key", self._key, needs=(identity,), rotation=name)

    def sources(self, *needs: Check) -> Iterator[Check]:
        """Yield the checks of the secret, the signing key and the token endpoint."""
        name = self.rotation.name
        yield carry_out("secret", self._secret, needs=needs, rotation=name)
        if self.rotation.signing_key_id:
            yield carry_out(SIGNING_KEY, self._signing_key, needs=needs, rotation=name)
        yield carry_out("token endpoint", self._endpoint, rotation=name)

    def _secret(self) -> str:
        self.credentials = self.subject.ports.secrets.read(self.rotation)
        found = "client_id and client_secret"
        if self.rotation.client_authentication is ClientAuthentication.PRIVATE_KEY_JWT:
            found = "client_id"
        found = ", ".join((found, *self.credentials.members))
        spaced = "".join(f"; {m} begins or ends with a space" for m in self.credentials.spaced_members)
        return f"{found} in version {self.credentials.version_id}{spaced}"

    def _signing_key(self) -> str:
        return check_signing_key(self.rotation, self.tools.inspector)

    def _endpoint(self) -> str:
        url = urlsplit(self.rotation.token_endpoint)
        status = self.tools.reach(self.rotation.token_endpoint, self.rotation.ca_parameter_name).status
        if status >= 500 and status != 501:  # an endpoint need not support GET (RFC 6749, 3.2)
            raise RotatorError(
                f"{url.netloc} answers HTTP {status}",
                advice="try again later; if the error persists, contact the provider",
            )
        certificate = "certificate valid" if url.scheme == "https" else "no TLS on loopback"
        return f"{url.netloc} answers (HTTP {status}), {certificate}"

    def _request(self) -> str:
        if not self.options.request_token:
            raise NotChecked("no token was requested (--no-token)")
        run = self.tools.begin_run()
        endpoint = self.subject.ports.token_endpoint
        both = self.options.try_encodings
        self.issued = request_token(self.rotation, self.credentials, endpoint, run, both=both)
        return self.issued.accepted

    def _shape(self, guarantee: Check) -> str:
        token = self.issued.token
        if isinstance(token, InvalidTokenResponse):
            raise token
        problem = self.subject.guarantee.problem(token.lifetime, self.rotation.renew_at)
        if problem and guarantee.state is not State.FAILED:
            raise problem
        expected = self.subject.expected_lifetime
        check_lifetime(self.rotation, token, expected)
        self.token = token
        form = "JWT" if token_response.is_jwt(token.value) else "opaque"
        odd = (
            [f"the expected lifetime is {expected}"]
            if expected and expected.is_far_from(token.lifetime)
            else []
        )
        return "; ".join(
            (f"Bearer, {form}, valid for {describe_seconds(token.lifetime)}", *odd, *token.warnings)
        )

    def _size(self) -> str:
        check_size(self.rotation, self.token)
        tier = self.rotation.tier
        return f"{len(self.token.value.value):,} of the {TIER_LIMITS[tier]:,} bytes of the tier {tier}"

    def _parameter(self) -> str:
        if isinstance(self.stored, RotatorError):
            raise NotChecked('the parameters could not be read; see the check "stored token"')
        if self.stored.lease_error:
            raise self.stored.lease_error
        rotation, stored, inspector = self.rotation, self.stored, self.tools.inspector
        writable = []
        for name, version, check_write in (
            (rotation.parameter_name, stored.token_version, inspector.may_write_token),
            (rotation.status_name, stored.status_version, inspector.may_write_status),
            (rotation.lease_name, stored.lease.version, inspector.may_write_lease),
        ):
            if version:  # a test write to an existing parameter is refused in any case, and changes nothing
                check_write(rotation)
                writable.append(name)
        if not writable:
            raise NotChecked(f"{rotation.parameter_name} does not exist yet; the first run creates it")
        missing = "" if stored.lease.version else f"; {rotation.lease_name} does not exist yet"
        # Parameter Store may refuse the test write before it checks the permission for the key.
        key = (
            f"; only a renewal shows whether the caller may use {rotation.kms_key_id}"
            if rotation.kms_key_id
            else ""
        )
        return f"this caller may write {', '.join(writable)}{missing}{key}"

    def _key(self) -> str:
        name = self.rotation.kms_key_id or AWS_KEY
        try:
            key = self.tools.inspector.key(name)
        except RotatorError as error:
            if name == AWS_KEY:
                raise NotChecked(f"{error.problem}; AWS manages this key itself") from error
            raise
        if key is None and name == AWS_KEY:
            return f"{name}, which AWS creates on first use"
        if key is None:
            raise RotatorError(
                f"there is no KMS key {name}", advice="set kms_key_id to a key of this account and Region"
            )
        if key.state != "Enabled":
            raise RotatorError(
                f"the KMS key {name} is {key.state}",
                advice="enable the key, or cancel its deletion: "
                "without it, no caller can read or write the token",
            )
        if (key.usage, key.spec) != ("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"):
            raise RotatorError(
                f"the KMS key {name} has the spec {key.spec} and the usage {key.usage}",
                advice="set kms_key_id to a symmetric encryption key",
            )
        return f"{name} is enabled"


def check_sources(rotation: Rotation, subject: Subject, tools: Instruments) -> Iterator[Check]:
    """Yield the checks of secret and endpoint; no token is requested, which could revoke the stored one."""
    checks = RotationChecks(rotation, Stored(), subject, tools, Options(request_token=False))
    yield from checks.sources()


def check_stored(rotation: Rotation, stored: Stored | RotatorError, now: datetime) -> str:
    """Return the state of the token that consumers read now.

    Raises:
        RotatorError: There is no token, or the token is expired, possibly revoked or of unknown validity.
    """
    if isinstance(stored, RotatorError):
        raise stored
    state = policy.token_state(rotation, stored, now)
    if stored.token_status is None:
        raise _nothing_known(state, stored)
    if state is TokenState.EXPIRED:
        age = describe_seconds(-seconds_until(stored.token_status.expires_at, now))
        raise RotatorError(
            f"the token expired {age} ago", advice=f"find out why the last runs failed, then run {ROTATE}"
        )
    if policy.may_be_revoked(rotation, stored, now):
        raise RotatorError(
            "the provider may have revoked the stored token, because it may have issued another token that "
            "was not stored",
            advice=f"wait for the next run, which renews the token, or run {ROTATE}",
        )
    remaining = describe_seconds(seconds_until(stored.token_status.expires_at, now))
    return f"version {stored.token_version} is {state.value} and valid for {remaining}"


def _nothing_known(state: TokenState, stored: Stored) -> RotatorError:
    if state is TokenState.MISSING:
        return RotatorError("there is no token yet", advice=f"wait for the first run, or run {ROTATE}")
    problem = stored.status_problem or "the status is missing or describes another version"
    return RotatorError(
        f"the token's expiry is unknown, because its status cannot be used: {problem}",
        advice=f"wait for the next run, which renews the token, or run {ROTATE}",
    )
