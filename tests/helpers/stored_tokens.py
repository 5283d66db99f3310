"""Parameters with valid or invalid tokens, for tests of the commands that read a token."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from fake_ports import jwt
from rotator.devstack.deployment import Account

PARAMETER = "/healthwise/token"

Spoil = Callable[[Account], object]


def token_expiring_in(seconds: float) -> str:
    """Return a JWT that expires n seconds from now."""
    return jwt({"exp": (datetime.now(UTC) + timedelta(seconds=seconds)).timestamp(), "sub": "canary"})


def put(account: Account, value: str, name: str = PARAMETER) -> None:
    account.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def spoilt(value: str) -> Spoil:
    """Return a change that stores this value in the parameter."""
    return lambda account: put(account, value)


def remove(account: Account) -> None:
    account.client("ssm").delete_parameter(Name=PARAMETER)


def assume_powerless_role(account: Account) -> Account:
    """Assume a role without permissions."""
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = account.client("iam").create_role(RoleName="powerless", AssumeRolePolicyDocument=document)
    return account.assume_role(role["Role"]["Arn"])
