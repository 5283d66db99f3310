"""Checks of ``make smoke`` on Parameter Store, with parameters of their own.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
"""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from infra.smoke.fixtures import (
    MANY_RETRIES,
    NO_RETRY,
    Different,
    Ground,
    check,
    code_of,
    expect_refusal,
    refusal,
)
from infra.smoke.roles import as_role, expect
from rotator.config.validators import MAX_ARN_CHARACTERS, MAX_PARAMETER_NAME_CHARACTERS
from rotator.renewal.lease import VERSIONS_KEPT
from rotator.renewal.models import TIER_LIMITS

WRITE_INTERVAL_SECONDS = 1.0
"""The account's quota is a few writes a second, and the rotator needs some of them."""

LONGEST_NAME = MAX_PARAMETER_NAME_CHARACTERS + len("/status")

PARAMETERS_OF_A_PAGE = 10
READS = 5
RACES = 5
LOST_RACES = {"TooManyUpdates", "ThrottlingException"}


def _put(ground: Ground, name: str, config: Config = MANY_RETRIES, **request: Any) -> partial[Any]:
    """Return a function that writes a new parameter of this name, by default a short String."""
    put = ground.client("ssm", config).put_parameter
    return partial(put, **({"Name": ground.new_name(name), "Value": "x", "Type": "String"} | request))


@check("a value of 4,097 bytes in a Standard parameter, or 8,193 in an Advanced one, is refused")
def sizes(ground: Ground) -> str:
    for tier in ("Standard", "Advanced"):
        put = _put(ground, f"sizes-{tier}", Value="x" * (TIER_LIMITS[tier] + 1), Tier=tier)
        expect_refusal("ValidationException", put)
    return "ValidationException for both"


@check("Intelligent-Tiering accepts 4,097 bytes and becomes Advanced, and still accepts a short value")
def tier(ground: Ground) -> str:
    put = _put(ground, "tier", Type="SecureString", Tier="Intelligent-Tiering", Overwrite=True)
    answer = put(Value="x" * (TIER_LIMITS["Standard"] + 1))
    if answer.get("Tier") != "Advanced":
        raise Different(f"the tier {answer.get('Tier')}")
    put()  # as a run does with status and lease
    return "the tier Advanced, and a short value was accepted"


@check("the longest name that the settings allow is accepted, and an ARN of 1,012 characters is refused")
def name_length(ground: Ground) -> str:
    path = len(f"/{ground.scratch}/")
    _put(ground, "x" * (LONGEST_NAME - path))()
    too_long = MAX_ARN_CHARACTERS + 1 - len(ground.arn("ssm", "parameter"))
    return expect_refusal("ValidationException", _put(ground, "x" * (too_long - path)))


@check("overwriting a SecureString with a String never changes its type")
def type_change(ground: Ground) -> str:
    """Return AWS's refusal (HierarchyTypeMismatchException, as documented), or that it kept the type."""
    put = _put(ground, "type-change", Type="SecureString")
    put()
    if code := refusal(put, Type="String", Overwrite=True):
        return code
    kind = ground.client("ssm").get_parameter(Name=put.keywords["Name"])["Parameter"]["Type"]
    if kind != "SecureString":
        raise Different(f"the type changed to {kind}")
    return "the write succeeded, and the type is still SecureString"


@check("two concurrent writes get successive versions or TooManyUpdates, never the same version")
def too_many_updates(ground: Ground) -> str:
    """Let two threads write at once, a few times. The lease relies on distinct versions."""
    put = _put(ground, "too-many-updates", NO_RETRY, Overwrite=True)
    last = put()["Version"]
    answers: set[str] = set()
    with ThreadPoolExecutor(2) as pool:
        for _ in range(RACES):
            both = list(pool.map(lambda _: _version_or_code(put), range(2)))
            versions = sorted(answer for answer in both if isinstance(answer, int))
            codes = {answer for answer in both if isinstance(answer, str)}
            if codes - LOST_RACES or versions != list(range(last + 1, last + 1 + len(versions))):
                raise Different(f"{both} after version {last}")
            last += len(versions)
            answers |= codes or {"two versions in a row"}
    return f"in {RACES} races: {', '.join(sorted(answers))}"


def _version_or_code(put: Any) -> int | str:
    try:
        return int(put()["Version"])
    except ClientError as error:
        return code_of(error)


@check("creating a parameter that exists is refused as ParameterAlreadyExists")
def create_once(ground: Ground) -> str:
    """Create a parameter twice. The first lease relies on it."""
    put = _put(ground, "create-once")
    put()
    return expect_refusal("ParameterAlreadyExists", put)


@check("an overwritten version can be read by its number, and the role may read and write the lease")
def earlier_versions(ground: Ground) -> str:
    """Read an overwritten version, and a version that does not exist. Detecting a lost lease relies on it.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-versions.html
    """
    put = _put(ground, "earlier-versions", Overwrite=True)
    for value in ("first", "second"):
        put(Value=value)
    names = [f"{put.keywords['Name']}:{version}" for version in (1, 3)]
    answer = ground.client("ssm").get_parameters(Names=names)
    found = {each["Version"]: each["Value"] for each in answer["Parameters"]}
    if found != {1: "first"}:
        raise Different(f"the versions {sorted(found)} were returned, or another value")
    lease = ground.arn("ssm", f"parameter{ground.token_name}/lease")
    for action in ("ssm:GetParameters", "ssm:PutParameter"):
        expect(as_role(ground), action, lease, allowed=True)
    return "the first version was returned, and none for a version that does not exist"


@check(
    "a label on the oldest of 100 versions is in the history and blocks the next version: "
    "ParameterMaxVersionLimitExceeded"
)
def labels(ground: Ground) -> str:
    """Label the first of as many versions as are kept, where the doctor finds the label; write one more."""
    ssm, put = ground.client("ssm"), _put(ground, "labels", Overwrite=True)
    put()
    name = put.keywords["Name"]
    ssm.label_parameter_version(Name=name, ParameterVersion=1, Labels=["smoke"])
    for _ in range(VERSIONS_KEPT - 1):
        time.sleep(WRITE_INTERVAL_SECONDS)
        put()
    code = expect_refusal("ParameterMaxVersionLimitExceeded", put)
    pages = ssm.get_paginator("get_parameter_history").paginate(Name=name)
    versions = {each["Version"]: each.get("Labels") for page in pages for each in page["Parameters"]}
    if min(versions, default=0) != 1 or versions[1] != ["smoke"]:
        raise Different(f"{code}, but the history shows no label on the oldest version")
    return code


@check("reading a path page by page returns all parameters, although AWS documents pages as best-effort")
def path_pages(ground: Ground) -> str:
    """Read a few times: a run does not renew a rotation whose document is missing from every page."""
    names = [ground.new_name(f"path/{n}") for n in range(PARAMETERS_OF_A_PAGE + 1)]
    ssm = ground.client("ssm")
    for name in names:
        time.sleep(WRITE_INTERVAL_SECONDS)
        ssm.put_parameter(Name=name, Value="x", Type="String")
    request = {"Path": names[0].rpartition("/")[0], "Recursive": True, "MaxResults": PARAMETERS_OF_A_PAGE}
    for _ in range(READS):
        time.sleep(WRITE_INTERVAL_SECONDS)
        pages = list(ssm.get_paginator("get_parameters_by_path").paginate(**request))
        if missing := set(names) - {each["Name"] for page in pages for each in page["Parameters"]}:
            raise Different(f"{len(missing)} of {len(names)} parameters are on none of {len(pages)} pages")
    return f"all {len(names)} parameters, {READS} times"


@check("a key that does not exist is refused as InvalidKeyId")
def kms_errors(ground: Ground) -> str:
    key = ground.arn("kms", f"key/{uuid.uuid4()}")
    return expect_refusal("InvalidKeyId", _put(ground, "kms-errors", Type="SecureString", KeyId=key))
