"""The checks of one rotation: its secret, token endpoint, a new token, parameters and keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from rotator.doctor.check import Check, NotChecked, State, carry_out
from rotator.doctor.context import Instruments, Subject
from rotator.doctor.keys import check_key, check_signing_key
from rotator.doctor.parameters import check_labels, check_parameters, full_parameters
from rotator.errors import InvalidTokenResponse, RotatorError, TokenRequestRejected
from rotator.oauth import client_credentials, jwt, token_response
from rotator.oauth.models import AccessToken, BasicEncoding, ClientAuthentication, ClientCredentials
from rotator.renewal.durations import describe_seconds
from rotator.renewal.models import TIER_LIMITS, Rotation, Stored
from rotator.renewal.ports import Run
from rotator.renewal.renew import check_lifetime, check_size

CHECKS = ("secret", "token endpoint", "credentials", "token", "size", "parameter", "key")
"""The names of the checks, in their order."""

Answer = AccessToken | InvalidTokenResponse
"""The answer to accepted credentials: a token of any size, or the error of an unusable token."""


@dataclass(repr=False)
class RotationChecks:
    """One rotation's checks. Each stores the values that later checks need."""

    rotation: Rotation
    stored: Stored | RotatorError
    subject: Subject
    tools: Instruments
    credentials: ClientCredentials = field(init=False)
    answer: Answer = field(init=False)
    token: AccessToken = field(init=False)

    def all(self, identity: Check, timed: Sequence[Check], guarantee: Check) -> Iterator[Check]:
        """Yield every check in the order of ``CHECKS``; see ``examine`` for the checks on which they depend.

        A rotation with a signing key has one more check, and so has one with a parameter of 100 versions.
        """
        inspector, sources = self.tools.inspector, []
        for source in self.sources(identity):
            sources.append(source)
            yield source
        credentials = self._check("credentials", self._request, *sources)
        yield credentials
        token = self._check("token", lambda: self._shape(guarantee), credentials, *timed)
        yield token
        yield self._check("size", self._size, token)
        yield self._check(
            "parameter", lambda: check_parameters(self.rotation, self.stored, inspector), identity
        )
        if full := full_parameters(self.rotation, self.stored):
            yield self._check("labels", lambda: check_labels(full, inspector), identity)
        yield self._check("key", lambda: check_key(self.rotation, inspector), identity)

    def sources(self, *needs: Check) -> Iterator[Check]:
        """Yield the checks that request no token, which could revoke the stored one."""
        yield self._check("secret", self._secret, *needs)
        if self.rotation.signing_key_id:
            yield self._check(
                "signing key", lambda: check_signing_key(self.rotation, self.tools.inspector), *needs
            )
        yield self._check("token endpoint", self._endpoint)

    def _check(self, name: str, examine: Callable[[], str], *needs: Check) -> Check:
        return carry_out(name, examine, needs=needs, rotation=self.rotation.name)

    def _secret(self) -> str:
        self.credentials = self.subject.ports.secrets.read(self.rotation)
        found = "client_id and client_secret"
        if self.rotation.client_authentication is ClientAuthentication.PRIVATE_KEY_JWT:
            found = "client_id"
        found = ", ".join((found, *self.credentials.members))
        spaced = "".join(f"; {m} begins or ends with a space" for m in self.credentials.spaced_members)
        return f"{found} in version {self.credentials.version_id}{spaced}"

    def _endpoint(self) -> str:
        url = urlsplit(self.rotation.token_endpoint)
        answer = self.tools.reach(self.rotation.token_endpoint, self.rotation.ca_parameter_name)
        if isinstance(answer, RotatorError):
            raise answer
        status = answer.status
        if status >= 500 and status != 501:  # an endpoint need not support GET (RFC 6749, 3.2)
            advice = "try again later; if the error persists, contact the provider"
            raise RotatorError(f"{url.netloc} answers HTTP {status}", advice=advice)
        certificate = "certificate valid" if url.scheme == "https" else "no TLS on loopback"
        return f"{url.netloc} answers (HTTP {status}), {certificate}"

    def _request(self) -> str:
        """Store the answer to a request for a token; return a text about the accepted credentials.

        The options may ask for a request in each encoding of Basic, if they differ for these credentials.
        """
        if not self.subject.request_token:
            raise NotChecked("no token was requested (--no-token)")
        rotation, run = self.rotation, self.tools.begin_run()
        is_ambiguous = client_credentials.token_request(rotation, self.credentials).ambiguous_basic
        if self.subject.try_encodings and is_ambiguous:
            return self._compare_encodings(run)
        try:
            self.answer = self._ask(rotation, run)
        except TokenRequestRejected as error:
            if not (error.client_refused and is_ambiguous):
                raise
            hint = "`rotator doctor --try-encodings` tries both encodings"
            raise RotatorError(error.problem, advice=f"{error.advice}; {hint}") from error
        if rotation.client_authentication is not ClientAuthentication.BASIC:
            return f"accepted, as {rotation.client_authentication}"
        if is_ambiguous:
            return f"accepted, with Basic in the encoding {rotation.basic_encoding}"
        return "accepted, with Basic; both encodings are the same for this secret"

    def _compare_encodings(self, run: Run) -> str:
        answers: dict[BasicEncoding, Answer | TokenRequestRejected] = {}
        for encoding in BasicEncoding:
            try:
                answers[encoding] = self._ask(replace(self.rotation, basic_encoding=encoding), run)
            except TokenRequestRejected as error:
                if not error.client_refused:
                    raise
                answers[encoding] = error
        configured = self.rotation.basic_encoding
        answer = answers[configured]
        accepted = [name for name, each in answers.items() if not isinstance(each, TokenRequestRejected)]
        found = ", ".join(f"{'accepted' if name in accepted else 'refused'} as {name}" for name in answers)
        if not isinstance(answer, TokenRequestRejected):
            self.answer = answer
            return f"{found}; basic_encoding is {configured}"
        if accepted:
            raise RotatorError(found, advice=f"set basic_encoding to {accepted[0]}")
        advice = "check client_id and client_secret in the secret, and the setting client_authentication"
        raise RotatorError(f"{found}: {answer.problem}", advice=advice)

    def _ask(self, rotation: Rotation, run: Run) -> Answer:
        request = client_credentials.token_request(rotation, self.credentials)
        response = self.subject.ports.token_endpoint.request(request, deadline=run.request_deadline)
        try:
            return token_response.read_token(request, response, run.now())
        except InvalidTokenResponse as error:
            return error

    def _shape(self, guarantee: Check) -> str:
        token = self.answer
        if isinstance(token, InvalidTokenResponse):
            raise token
        problem = self.subject.settings.guarantee.problem(token.lifetime, self.rotation.renew_at)
        if problem and guarantee.state is not State.FAILED:
            raise problem
        expected = self.subject.settings.expected_lifetime
        check_lifetime(self.rotation, token, expected)
        self.token = token
        form = "JWT" if jwt.claims(token.value.value) is not None else "opaque"
        found = [f"Bearer, {form}, valid for {describe_seconds(token.lifetime)}"]
        if expected and expected.is_far_from(token.lifetime):
            found.append(f"the expected lifetime is {expected}")
        return "; ".join((*found, *token.warnings))

    def _size(self) -> str:
        check_size(self.rotation, self.token)
        tier = self.rotation.tier
        return f"{len(self.token.value.value):,} of the {TIER_LIMITS[tier]:,} bytes of the tier {tier}"
