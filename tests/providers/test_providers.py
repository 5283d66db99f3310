"""Every provider of infra/docs/providers.md, by the settings that its row has and nothing else."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from documented_providers import ACCESS_TOKEN, DOCUMENTED
from leak_check import credential_forms, listening
from provider_world import CLIENT_ID, RIGHT, WRONG, World, secret, world
from rotator.oauth.models import Stage
from rotator.renewal.models import Outcome, Result, Summary

PROVIDERS = sorted(DOCUMENTED)
WITH_SECRET = [name for name in PROVIDERS if not DOCUMENTED[name].algorithm]
WITH_KEY = [name for name in PROVIDERS if DOCUMENTED[name].algorithm]

SECRET_ADVICE = "check client_id and client_secret in the secret"
KEY_ADVICE = "check that the provider has registered this client_id, with the public key of signing_key_id"


def only(summary: Summary) -> Result:
    [result] = summary.results
    return result


def assert_stored(at: World, result: Result) -> None:
    """The provider's token is stored, with the lifetime that its documentation says."""
    assert result.outcome is Outcome.ROTATED, result.error
    assert at.server.undocumented == []
    assert at.parameters.parameters["/client/token"].value == ACCESS_TOKEN
    status = at.parameters.status("/client/token/status")
    times = [datetime.fromisoformat(status[name]) for name in ("issued_at", "expires_at")]
    lifetime = (times[1] - times[0]).total_seconds()
    assert lifetime == pytest.approx(DOCUMENTED[at.provider].lifetime, abs=2)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_provider_rotates_by_settings_alone(provider: str) -> None:
    with world(provider) as at:
        summary = at.run(AWSCURRENT=secret(provider))
    assert_stored(at, only(summary))
    assert summary.warnings == ()


@pytest.mark.parametrize("provider", WITH_SECRET)
def test_right_secret_in_awsprevious_rotates_with_a_warning(provider: str) -> None:
    with world(provider) as at:
        summary = at.run(AWSCURRENT=secret(provider, WRONG), AWSPREVIOUS=secret(provider))
    assert_stored(at, only(summary))
    assert only(summary).secret_stage is Stage.PREVIOUS
    [warning] = summary.warnings
    assert "refused the client with AWSCURRENT and accepted AWSPREVIOUS" in warning


@pytest.mark.parametrize("provider", WITH_SECRET)
def test_wrong_secret_fails_and_advice_names_it_first(provider: str) -> None:
    other = "canary-another +/=:%é"
    with listening() as leaks, world(provider) as at:
        for each in (WRONG, other):
            leaks.secrets |= credential_forms(CLIENT_ID, each)
        summary = at.run(AWSCURRENT=secret(provider, WRONG), AWSPREVIOUS=secret(provider, other))
    leaks.hear("the summary", json.dumps(summary.to_dict()))
    result = only(summary)
    assert at.server.undocumented == []
    assert (result.outcome, result.error_kind) == (Outcome.FAILED, "TokenRequestRejected")
    assert result.advice
    assert result.advice.startswith(SECRET_ADVICE)
    assert leaks.found() == []


@pytest.mark.parametrize("provider", WITH_KEY)
def test_unknown_key_fails_and_advice_names_it_first(provider: str) -> None:
    with world(provider, signed_by="someone else") as at:
        result = only(at.run(AWSCURRENT=secret(provider)))
    assert at.server.undocumented == []
    assert (result.outcome, result.error_kind) == (Outcome.FAILED, "TokenRequestRejected")
    assert result.advice
    assert result.advice.startswith(KEY_ADVICE)


def test_wrong_subscription_key_advises_on_headers_last() -> None:
    provider, wrong = "Azure API Management", "canary-wrong-key"
    with listening() as leaks, world(provider) as at:
        leaks.secrets |= {wrong, *credential_forms(CLIENT_ID, RIGHT)}
        summary = at.run(AWSCURRENT=secret(provider, gateway_key=wrong))
        versions = {"AWSCURRENT": secret(provider, gateway_key=wrong), "AWSPREVIOUS": secret(provider)}
        assert only(at.run(**versions)).secret_stage is Stage.PREVIOUS
    leaks.hear("the summary", json.dumps(summary.to_dict()))
    first, *_, last = str(only(summary).advice).split("; ")
    assert first.startswith(SECRET_ADVICE)
    assert "secret_headers" in last
    assert leaks.found() == []
