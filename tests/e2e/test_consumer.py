"""A consumer of a deployed stack, under a role with only the stack's policy for consumers."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest
import requests

from deployed_stack import Deployed
from rotator.consumer import HttpxTokenAuth, TokenAuth, TokenSource
from rotator.devstack.deployment import Account
from rotator.errors import TokenUnavailable
from token_source_setup import Clocks

NAME = "/healthwise/token"

Get = Callable[[TokenSource, str], int]


@pytest.fixture(scope="module")
def stack(deployed: Deployed) -> dict[str, str]:
    outputs = deployed.account.create_stack(deployed.one)
    assert deployed.force(outputs)["rotated"] == 1
    return outputs


@pytest.fixture(scope="module")
def role(deployed: Deployed, stack: dict[str, str]) -> Account:
    return deployed.account.assume_consumer_role(stack["ConsumerPolicyArn"])


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def source(role: Account, clocks: Clocks) -> TokenSource:
    return TokenSource(NAME, client=role.client("ssm"), clock=clocks.clock)


@pytest.fixture
def topics(deployed: Deployed) -> str:
    return f"{deployed.authorization_api}/topics"


def policy(deployed: Deployed, name: str, action: str, resource: str = "*") -> str:
    """Create a managed policy with one statement; return its ARN."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    made = deployed.account.client("iam").create_policy(PolicyName=name, PolicyDocument=document)
    return str(made["Policy"]["Arn"])


def by_requests(source: TokenSource, url: str) -> int:
    return requests.get(url, auth=TokenAuth(source), timeout=10).status_code


def by_httpx(source: TokenSource, url: str) -> int:
    with httpx.Client(auth=HttpxTokenAuth(source)) as client:
        return client.get(url).status_code


@pytest.fixture(params=[by_requests, by_httpx], ids=["requests", "httpx"])
def get(request: pytest.FixtureRequest) -> Get:
    made: Get = request.param
    return made


def test_the_token_opens_the_api(source: TokenSource, topics: str, get: Get) -> None:
    assert get(source, topics) == 200


def test_revoked_token_is_replaced_without_a_restart(
    deployed: Deployed, stack: dict[str, str], source: TokenSource, clocks: Clocks, topics: str, get: Get
) -> None:
    assert get(source, topics) == 200
    revoked = source.token()
    deployed.api.revoke(revoked)
    assert get(source, topics) == 401  # there is no newer token
    assert deployed.force(stack)["rotated"] == 1
    clocks.advance(1)  # a read without a new token is followed by a pause
    assert get(source, topics) == 200
    assert source.token() != revoked


def test_request_succeeds_after_a_renewal_revokes_the_old_token(
    deployed: Deployed, stack: dict[str, str], source: TokenSource, topics: str, get: Get
) -> None:
    deployed.api.misbehaviour.plan(revokes_older_tokens=True)
    try:
        for _ in range(3):
            assert deployed.force(stack)["rotated"] == 1
            assert get(source, topics) == 200
    finally:
        deployed.api.misbehaviour.plan(revokes_older_tokens=False)


def test_role_without_the_policy_gets_advice_to_attach_it(deployed: Deployed, stack: dict[str, str]) -> None:
    stranger = deployed.account.assume_consumer_role(policy(deployed, "stranger", "sqs:*"), role="stranger")
    with pytest.raises(TokenUnavailable, match=r"could not be read: AccessDenied.*ConsumerPolicyArn"):
        TokenSource(NAME, client=stranger.client("ssm")).token()


def test_token_only_role_reads_the_token_and_its_lifetime(deployed: Deployed, stack: dict[str, str]) -> None:
    """Without a readable status, the expiry is in the token, which is a JWT."""
    arn = f"arn:aws:ssm:us-east-1:000000000000:parameter{NAME}"
    allowed = policy(deployed, "token-only", "ssm:GetParameter", arn)
    role = deployed.account.assume_consumer_role(allowed, role="token-only")
    source = TokenSource(NAME, client=role.client("ssm"))
    assert source.token()
    assert source._cache.cached is not None
    assert source._cache.cached.lifetime > 80_000
