"""What the doctor finds of one rotation: the token it is issued, where that will be kept, what is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from doctor_patient import AFTER_THE_SECRET, BROKEN, Patient, answers, has_key, healthy, issues
from fake_ports import DAY, START, jwt
from rotator.config.deployment import Key
from rotator.doctor.check import State
from rotator.errors import ParameterStoreError
from rotator.oauth.models import (
    BasicEncoding,
    ClientAuthentication,
    ClientCredentials,
    Secret,
    SigningAlgorithm,
)

# Token requests.

REFUSED = (401, {"error": "invalid_client"})
GOOD = (200, {"access_token": "a-token", "token_type": "Bearer", "expires_in": DAY})


def plain_secret(patient: Patient) -> None:
    """A secret that is the same in both encodings of Basic."""
    credentials = ClientCredentials(client_id="client", client_secret=Secret("plain"), version_id="v1")
    patient.ports.secrets.credentials["healthwise/client"] = credentials


def with_versions(count: int, labels: Mapping[str, Mapping[int, Sequence[str]]] | None = None) -> Patient:
    """A patient whose parameters were written so often; ``labels`` are by parameter and version."""
    patient = Patient()
    (of,), parameters = patient.rotations, patient.ports.parameters
    for _ in range(count):
        parameters.put_lease(of, expires_at=START, released=True)
        patient.store()
    for name in (of.parameter_name, of.status_name, of.lease_name):
        found = (labels or {}).get(name, {})
        kept = range(count, max(0, count - 100), -1)
        patient.inspector.kept_versions[name] = {number: found.get(number, ()) for number in kept}
    return patient


def requests(patient: Patient) -> int:
    return len(patient.ports.token_endpoint.requests)


def test_disallowed_token_request_skips_token_checks() -> None:
    patient = healthy()
    findings = patient.examine(request_token=False, try_encodings=True)
    assert (findings.failed, findings.skipped, requests(patient)) == (set(), AFTER_THE_SECRET, 0)


def test_credentials_check_requests_one_token_and_shows_dialect() -> None:
    patient = healthy()
    assert patient.examine()["credentials"].found == "accepted, with Basic in the encoding raw"
    assert requests(patient) == 1


def test_identical_basic_dialects_need_one_token_request() -> None:
    patient = healthy()
    plain_secret(patient)
    assert "both encodings are the same" in patient.examine(try_encodings=True)["credentials"].found
    assert requests(patient) == 1
    patient.ports.token_endpoint.answers.append(REFUSED)
    assert "--try-encodings" not in (patient.examine()["credentials"].advice or "")


def test_client_secret_post_has_no_basic_dialect() -> None:
    patient = healthy().set(client_authentication=ClientAuthentication.POST)
    assert patient.examine(try_encodings=True)["credentials"].found == "accepted, as client_secret_post"
    assert requests(patient) == 1


@pytest.mark.parametrize(
    ("raw", "form", "set_to", "state", "found", "advice"),
    [
        (GOOD, REFUSED, "raw", "ok", "accepted as raw, refused as form; basic_encoding is raw", None),
        (REFUSED, GOOD, "form", "ok", "refused as raw, accepted as form; basic_encoding is form", None),
        (GOOD, GOOD, "form", "ok", "accepted as raw, accepted as form; basic_encoding is form", None),
        (REFUSED, GOOD, "raw", "failed", "refused as raw, accepted as form", "set basic_encoding to form"),
        (GOOD, REFUSED, "form", "failed", "accepted as raw, refused as form", "set basic_encoding to raw"),
        (REFUSED, REFUSED, "raw", "failed", "refused as raw, refused as form: ", "check client_id"),
    ],
)
def test_both_dialects_are_compared_on_demand(
    raw: Any, form: Any, set_to: str, state: str, found: str, advice: str | None
) -> None:
    patient = healthy().set(basic_encoding=BasicEncoding(set_to))
    patient.ports.token_endpoint.answers.extend([raw, form])
    check = patient.examine(try_encodings=True)["credentials"]
    assert (check.state.value, requests(patient)) == (state, 2)
    assert check.found.startswith(found)
    assert (check.advice or "").startswith(advice or "")
    assert bool(check.advice) is bool(advice)


def test_configured_dialect_selects_the_token_to_check() -> None:
    patient = healthy().set(basic_encoding=BasicEncoding.FORM)
    longer = {**GOOD[1], "expires_in": 2 * DAY}
    patient.ports.token_endpoint.answers.extend([GOOD, (200, longer)])
    assert "valid for 2 d" in patient.examine(try_encodings=True)["token"].found


def test_refused_scope_advises_scope_instead_of_dialect() -> None:
    patient = healthy()
    answers(400, {"error": "invalid_scope"})(patient)
    check = patient.examine(try_encodings=True)["credentials"]
    assert (check.state, check.advice) == (
        State.FAILED,
        "set scope to one that the provider allows the client",
    )


@pytest.mark.parametrize(("token", "form"), [("opaque.token", "opaque"), (jwt({"sub": "x"}), "JWT")])
def test_token_form_lifetime_and_size_are_shown(token: str, form: str) -> None:
    patient = healthy()
    issues(access_token=token)(patient)
    findings = patient.examine()
    assert findings["token"].found == f"Bearer, {form}, valid for 1 d"
    assert findings["size"].found == f"{len(token)} of the 8,192 bytes of the tier Intelligent-Tiering"


@pytest.mark.parametrize(
    ("seconds", "odd"),
    [(DAY, ""), (3600, "; the expected lifetime is 1 d"), (5 * DAY, "; the expected lifetime is 1 d")],
)
def test_lifetime_far_from_the_expected_one_is_reported(seconds: int, odd: str) -> None:
    patient = healthy(token_lifetime=DAY)
    issues(expires_in=seconds)(patient)
    token = patient.examine()["token"]
    assert token.state is State.OK
    assert token.found.endswith(odd or "valid for 1 d")


def test_lifetime_in_milliseconds_is_a_cross() -> None:
    patient = healthy(token_lifetime=DAY)
    issues(expires_in=86_400 * 300)(patient)
    token = patient.examine()["token"]
    assert (token.state, token.advice is not None) == (State.FAILED, True)
    assert "with a lifetime of 300 d, more than 10 times the expected lifetime" in token.found


def test_wrong_expires_in_is_reported_with_the_fallback() -> None:
    patient = healthy().set(fallback_lifetime=DAY)
    issues(expires_in=0)(patient)
    token = patient.examine()["token"]
    assert token.found.startswith(
        "Bearer, opaque, valid for 1 d; the token endpoint sent an expires_in that is not"
    )


def test_other_members_and_spaces_of_the_secret_are_named() -> None:
    patient = healthy()
    credentials = patient.ports.secrets.credentials["healthwise/client"]
    patient.ports.secrets.credentials["healthwise/client"] = replace(
        credentials, members={"gateway.key": Secret("canary")}, spaced_members=("client_secret",)
    )
    assert patient.examine()["secret"].found == (
        "client_id and client_secret, gateway.key in version secret-v1; "
        "client_secret begins or ends with a space"
    )


# The parameters and their key.


def test_missing_parameters_skip_write_check_and_stay_absent() -> None:
    patient = Patient()
    patient.inspector.fails["may_write_token"] = patient.inspector.fails["may_write_status"] = BROKEN
    findings = patient.examine()
    assert findings["parameter"].state is State.SKIPPED
    assert "the first run creates it" in findings["parameter"].found
    assert findings.failed == {"stored token"}
    assert patient.ports.parameters.parameters == {}


def test_write_check_covers_only_existing_parameter() -> None:
    patient = Patient()
    patient.ports.parameters.write_token(patient.rotations[0], Secret("stored"))
    patient.inspector.fails["may_write_status"] = BROKEN
    assert patient.examine()["parameter"].found == (
        "this caller may write /healthwise/token; /healthwise/token/lease does not exist yet"
    )


def test_write_check_says_that_it_does_not_cover_the_key() -> None:
    patient = healthy()
    has_key()(patient)
    assert patient.examine()["parameter"].found.endswith(
        "only a renewal shows whether the caller may use alias/mine"
    )
    assert "a renewal" not in healthy().examine()["parameter"].found


def test_new_parameters_have_no_check_of_labels() -> None:
    assert "labels" not in {check.name for check in with_versions(99).examine().checks}


@pytest.mark.parametrize("name", ["/healthwise/token", "/healthwise/token/status", "/healthwise/token/lease"])
def test_label_on_the_oldest_of_100_versions_fails_labels_check(name: str) -> None:
    patient = with_versions(103, {name: {4: ("live", "old"), 60: ("new",)}})
    findings = patient.examine()
    assert (findings.failed, findings.skipped, findings.code) == ({"labels"}, set(), 1)
    assert (
        findings["labels"].found == f"{name} cannot be written: its oldest version, 4, has the label live old"
    )
    assert (findings["labels"].advice or "").endswith(
        f"--name {name} --parameter-version 4 --labels live old"
    )


def test_label_on_another_version_passes_labels_check() -> None:
    check = with_versions(103, {"/healthwise/token": {5: ("live",)}}).examine()["labels"]
    assert check.state is State.OK
    assert check.found.startswith(
        "no label on the oldest version of /healthwise/token, /healthwise/token/status"
    )


def test_unreadable_versions_skip_only_labels_check() -> None:
    patient = with_versions(100)
    patient.inspector.fails["versions"] = BROKEN
    findings = patient.examine()
    assert (findings.failed, findings.skipped) == (set(), {"labels"})
    assert findings["labels"].found == "it is broken; mend it"


def test_unreadable_parameters_fail_only_stored_token_check() -> None:
    patient = healthy()
    patient.ports.parameters.fails["read"] = ParameterStoreError("reading failed", advice="allow it")
    findings = patient.examine()
    assert (findings.failed, findings.skipped) == ({"stored token"}, {"guarantee", "parameter"})
    assert findings["stored token"].advice == "allow it"


def test_examination_writes_no_parameter() -> None:
    patient = healthy()
    before = dict(patient.ports.parameters.parameters)
    patient.examine(try_encodings=True)
    assert (patient.ports.parameters.parameters, patient.ports.parameters.writes) == (before, [])


def test_aws_managed_key_may_be_missing_or_unreadable() -> None:
    patient = healthy()
    assert "AWS creates" in patient.examine()["key"].found
    patient.inspector.fails["key"] = BROKEN
    assert patient.examine()["key"].state is State.SKIPPED
    assert patient.set(kms_key_id="alias/aws/ssm").examine()["key"].state is State.SKIPPED


def test_enabled_customer_managed_key_is_accepted() -> None:
    patient = healthy()
    has_key()(patient)
    assert patient.examine()["key"].found == "alias/mine is enabled"


# The key that signs client assertions.


def signing(spec: str = "ECC_NIST_P384", **changes: Any) -> Patient:
    """A patient whose client authenticates by a key."""
    patient = healthy().set(
        client_authentication=ClientAuthentication.PRIVATE_KEY_JWT,
        signing_key_id="alias/client",
        signing_algorithm=SigningAlgorithm.ES384,
    )
    facts = {"state": "Enabled", "usage": "SIGN_VERIFY", "spec": spec, **changes}
    patient.inspector.keys["alias/client"] = Key(**facts)
    return patient


def test_rotation_without_signing_key_has_no_check_of_one() -> None:
    assert "signing key" not in {check.name for check in healthy().examine().checks}


def test_key_that_signs_as_set_is_good() -> None:
    findings = signing().examine()
    assert findings.failed == set()
    assert (
        findings["signing key"].found
        == "alias/client is enabled, has the spec ECC_NIST_P384 and signs with ES384"
    )
    assert findings["secret"].found == "client_id in version secret-v1"
    assert findings["credentials"].found == "accepted, as private_key_jwt"


@pytest.mark.parametrize(
    ("algorithm", "spec"),
    [
        *(
            (each, f"RSA_{bits}")
            for each in SigningAlgorithm
            if each[0] in "RP"
            for bits in (2048, 3072, 4096)
        ),
        (None, "RSA_2048"),
        (SigningAlgorithm.ES256, "ECC_NIST_P256"),
        (SigningAlgorithm.ES512, "ECC_NIST_P521"),
    ],
)
def test_key_of_the_algorithms_spec_is_good(algorithm: SigningAlgorithm | None, spec: str) -> None:
    assert signing(spec).set(signing_algorithm=algorithm).examine().failed == set()


@pytest.mark.parametrize(
    ("changes", "found", "advice"),
    [
        (
            {"usage": "ENCRYPT_DECRYPT"},
            "has the spec ECC_NIST_P384 and the usage ENCRYPT_DECRYPT",
            "with the usage SIGN_VERIFY",
        ),
        ({"state": "Disabled"}, "is Disabled", "enable the key"),
        ({"state": "PendingDeletion"}, "is PendingDeletion", "cancel its deletion"),
        ({"spec": "ECC_NIST_P256"}, "cannot sign with ES384", "set signing_algorithm to ES256"),
        ({"spec": "RSA_2048"}, "cannot sign with ES384", "to RS256, RS384, RS512, PS256, PS384, PS512"),
        ({"spec": "ECC_SECG_P256K1"}, "cannot sign with ES384", "set signing_key_id to another key"),
    ],
)
def test_key_that_cannot_sign_fails_before_a_token_is_requested(
    changes: dict[str, str], found: str, advice: str
) -> None:
    patient = signing(**changes)
    check = patient.examine()["signing key"]
    assert check.state is State.FAILED
    assert found in check.found
    assert advice in (check.advice or "")
    assert requests(patient) == 0


def test_missing_signing_key_fails() -> None:
    patient = signing()
    patient.inspector.keys.clear()
    assert patient.examine()["signing key"].found == "there is no KMS key alias/client"


def test_endpoint_is_reached_with_the_rotations_certificates() -> None:
    patient = healthy().set(ca_parameter_name="/authorities")
    patient.examine()
    assert patient.reached == ["https://auth.example.test/oauth2/token trusting /authorities"]


# The stored token.


@pytest.mark.parametrize(
    ("hours_old", "found"),
    [(1, "version 1 is fresh and valid for 23 h"), (20, "version 1 is due and valid for 4 h")],
)
def test_valid_stored_token_passes(hours_old: float, found: str) -> None:
    findings = Patient().store(hours_old=hours_old).examine()
    assert (findings["stored token"].found, findings.failed) == (found, set())


def test_expired_stored_token_is_shown_with_advice() -> None:
    check = Patient().store(hours_old=26).examine()["stored token"]
    assert (check.found, check.advice) == (
        "the token expired 2 h ago",
        "find out why the last runs failed, then run `rotator rotate --function ...`",
    )


def test_stored_token_of_unknown_validity_is_shown_with_reason() -> None:
    patient = Patient()
    assert patient.examine()["stored token"].found == "there is no token yet"
    patient.store()
    patient.ports.parameters.write_token(patient.rotations[0], Secret("another"))
    assert "describes another version" in patient.examine()["stored token"].found
    patient.ports.parameters.write_status(patient.rotations[0], "nothing")
    assert "it is not JSON" in patient.examine()["stored token"].found


def test_running_renewal_passes_and_interrupted_one_is_shown() -> None:
    patient = Patient().store(hours_old=20)
    of, now = patient.rotations[0], patient.clock.now()
    patient.ports.parameters.put_lease(of, expires_at=now + timedelta(minutes=1))
    assert patient.examine().failed == set()
    patient = Patient().store(hours_old=20)
    patient.ports.parameters.put_lease(of, expires_at=now - timedelta(minutes=1))
    assert "the provider may have revoked the stored token" in patient.examine()["stored token"].found


def test_unreadable_lease_is_shown_in_parameter_check() -> None:
    patient = healthy()
    patient.ports.parameters.put("/healthwise/token/lease", "x", "SecureString")
    assert "/healthwise/token/lease is a SecureString" in patient.examine()["parameter"].found
