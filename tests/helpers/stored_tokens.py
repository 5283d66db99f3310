"""What the commands that read a token are tested with: parameters that hold one, or should."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from fake_ports import jwt
from rotator.devstack.deployment import Account

PARAMETER = "/healthwise/token"

Spoil = Callable[[Account], object]


def token_of_life(seconds: float) -> str:
    """A JWT that ends so many seconds from now."""
    return jwt({"exp": (datetime.now(UTC) + timedelta(seconds=seconds)).timestamp(), "sub": "canary"})


def put(account: Account, value: str, name: str = PARAMETER) -> None:
    account.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def spoilt(value: str) -> Spoil:
    """Make a change that leaves the parameter with this value."""
    return lambda account: put(account, value)


def remove(account: Account) -> None:
    account.client("ssm").delete_parameter(Name=PARAMETER)


def become_nobody(account: Account) -> Account:
    """Assume a role that may do nothing at all."""
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = account.client("iam").create_role(RoleName="nobody", AssumeRolePolicyDocument=document)
    return account.assume_role(role["Role"]["Arn"])
