"""Checks of ``make smoke`` on Parameter Store, with parameters of their own.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
"""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from infra.smoke_ground import ONCE, Different, Ground, code_of, expect_refusal, refused_with
from infra.smoke_roles import expect

STANDARD_BYTES = 4096
ADVANCED_BYTES = 8192
PACE = 1.0
"""Seconds between writes: the account has a few a second for everybody, the rotator among them."""

VERSIONS_KEPT = 100
RACES = 5
LOST_RACES = frozenset({"TooManyUpdates", "ThrottlingException"})


def sizes(ground: Ground) -> str:
    """One byte too many is refused in either tier."""
    put = ground.client("ssm").put_parameter
    for tier, limit in (("Standard", STANDARD_BYTES), ("Advanced", ADVANCED_BYTES)):
        name = ground.new_name(f"sizes-{tier}")
        expect_refusal(
            "ValidationException", put, Name=name, Value="x" * (limit + 1), Type="String", Tier=tier
        )
    return "ValidationException for both"


def tier(ground: Ground) -> str:
    """Intelligent-Tiering becomes Advanced where Standard is too small."""
    answer = ground.client("ssm").put_parameter(
        Name=ground.new_name("tier"),
        Value="x" * (STANDARD_BYTES + 1),
        Type="SecureString",
        Tier="Intelligent-Tiering",
    )
    if answer.get("Tier") != "Advanced":
        raise Different(f"the tier {answer.get('Tier')}")
    return "the tier Advanced"


def type_change(ground: Ground) -> str:
    """A SecureString never becomes a String. Which way AWS takes is told.

    The API reference has HierarchyTypeMismatchException for it: "Parameter Store doesn't support changing a
    parameter type in a hierarchy."
    """
    ssm, name = ground.client("ssm"), ground.new_name("type-change")
    ssm.put_parameter(Name=name, Value="x", Type="SecureString")
    if code := refused_with(ssm.put_parameter, Name=name, Value="x", Type="String", Overwrite=True):
        return code
    kind = ssm.get_parameter(Name=name)["Parameter"]["Type"]
    if kind != "SecureString":
        raise Different(f"it became a {kind}")
    return "it was done, and the type is still SecureString"


def too_many_updates(ground: Ground) -> str:
    """Two writes at once never get one version, which the lease relies on."""
    ssm, name = ground.client("ssm", ONCE), ground.new_name("too-many-updates")
    last = ssm.put_parameter(Name=name, Value="x", Type="String")["Version"]
    answers: set[str] = set()
    with ThreadPoolExecutor(2) as pool:
        for _ in range(RACES):
            both = list(pool.map(lambda _: _version_or_code(ssm, name), range(2)))
            versions = sorted(answer for answer in both if isinstance(answer, int))
            codes = {answer for answer in both if isinstance(answer, str)}
            if codes - LOST_RACES or versions != list(range(last + 1, last + 1 + len(versions))):
                raise Different(f"{both} after version {last}")
            last += len(versions)
            answers |= codes or {"two versions in a row"}
    return f"in {RACES} races: {', '.join(sorted(answers))}"


def _version_or_code(ssm: Any, name: str) -> int | str:
    try:
        return int(ssm.put_parameter(Name=name, Value="x", Type="String", Overwrite=True)["Version"])
    except ClientError as error:
        return code_of(error)


def create_once(ground: Ground) -> str:
    """A parameter is created once, which the first lease relies on."""
    ssm, name = ground.client("ssm"), ground.new_name("create-once")
    ssm.put_parameter(Name=name, Value="x", Type="String", Overwrite=False)
    return expect_refusal(
        "ParameterAlreadyExists", ssm.put_parameter, Name=name, Value="x", Type="String", Overwrite=False
    )


def earlier_versions(ground: Ground) -> str:
    """A version that was overwritten is read by its number, which a lease that was lost relies on.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-versions.html
    """
    ssm, name = ground.client("ssm"), ground.new_name("earlier-versions")
    for value in ("first", "second"):
        ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)
    answer = ssm.get_parameters(Names=[f"{name}:1", f"{name}:3"])
    found = {each["Version"]: each["Value"] for each in answer["Parameters"]}
    if found != {1: "first"}:
        raise Different(f"the versions {sorted(found)} were answered, or another value")
    role, lease = ground.outputs["FunctionRoleArn"], ground.arn("ssm", f"parameter{ground.token_name}/lease")
    for action in ("ssm:GetParameters", "ssm:PutParameter"):
        expect(ground, role, action, lease, allowed=True)
    return "the first version was answered, and none for one that does not exist"


def labels(ground: Ground) -> str:
    """A label on the oldest of all kept versions blocks the next one."""
    ssm, name = ground.client("ssm"), ground.new_name("labels")
    ssm.put_parameter(Name=name, Value="x", Type="String")
    ssm.label_parameter_version(Name=name, ParameterVersion=1, Labels=["smoke"])
    for _ in range(VERSIONS_KEPT - 1):
        time.sleep(PACE)
        ssm.put_parameter(Name=name, Value="x", Type="String", Overwrite=True)
    code = "ParameterMaxVersionLimitExceeded"
    return expect_refusal(code, ssm.put_parameter, Name=name, Value="x", Type="String", Overwrite=True)


def kms_errors(ground: Ground) -> str:
    """A key that does not exist is told as InvalidKeyId."""
    return expect_refusal(
        "InvalidKeyId",
        ground.client("ssm").put_parameter,
        Name=ground.new_name("kms-errors"),
        Value="x",
        Type="SecureString",
        KeyId=ground.arn("kms", f"key/{uuid.uuid4()}"),
    )
