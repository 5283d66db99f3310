"""The template's rules: what CloudFormation refuses across parameters before it creates anything."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from cloudformation import DOCUMENT, PARAMETERS, Stack
from rotator.contract import ROUNDING, Contract
from rotator.readers import UNITS

SECRET = {"SecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:healthwise/client-AbCdEf"}
KEY = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd"
MANY = {
    "RotationsPath": "/rotator/rotations",
    "SecretPrefix": "healthwise/",
    "ParameterPrefix": "/healthwise",
    "AllowedHosts": "auth.healthwise.net",
}


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(SECRET, id="one rotation"),
        pytest.param(MANY, id="many rotations"),
        pytest.param({**SECRET, "CreateKey": "true"}, id="a key to create"),
        pytest.param({**SECRET, "ParameterKmsKeyArn": KEY, "LogKmsKeyArn": KEY}, id="given keys"),
        pytest.param({**SECRET, "AlarmEmail": "a@example.com"}, id="a topic to create"),
        pytest.param({**SECRET, "VpcSubnetIds": "subnet-1", "VpcSecurityGroupIds": "sg-1"}, id="a VPC"),
    ],
)
def test_what_goes_together_is_not_refused(given: dict[str, str]) -> None:
    assert Stack(given).refused == []


@pytest.mark.parametrize(
    ("given", "because"),
    [
        pytest.param({}, "Give SecretArn for one rotation, or RotationsPath for many", id="nothing to do"),
        pytest.param({**SECRET, **MANY}, "Give SecretArn for one rotation, or", id="one and many"),
        pytest.param(
            {**MANY, "SecretPrefix": ""}, "so that the role may read those secrets and no", id="any secret"
        ),
        pytest.param({**MANY, "ParameterPrefix": ""}, "so that the role may write those", id="any parameter"),
        pytest.param({**MANY, "AllowedHosts": ""}, "With RotationsPath, give AllowedHosts", id="any host"),
        pytest.param(
            {**MANY, "ParameterPrefix": "/rotator/rotations"}, "rewrite its own documents", id="own documents"
        ),
        pytest.param({**SECRET, "SecretPrefix": "a/"}, "are for many rotations", id="a prefix for one"),
        pytest.param(
            {**SECRET, "CreateKey": "true", "ParameterKmsKeyArn": KEY},
            "Give ParameterKmsKeyArn, or let CreateKey make a key",
            id="a key given and one to create",
        ),
        pytest.param(
            {**SECRET, "CreateKey": "true", "LogKmsKeyArn": KEY}, "leave LogKmsKeyArn out", id="two log keys"
        ),
        pytest.param(
            {
                **SECRET,
                "AlarmEmail": "a@b.example",
                "AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:x",
            },
            "Give AlarmTopicArn, or let AlarmEmail",
            id="a topic given and one to create",
        ),
        pytest.param({**SECRET, "VpcSubnetIds": "subnet-1"}, "needs both", id="subnets alone"),
        pytest.param({**SECRET, "VpcSecurityGroupIds": "sg-1"}, "needs both", id="security groups alone"),
    ],
)
def test_what_does_not_go_together_is_refused_and_told_why(given: dict[str, str], because: str) -> None:
    [reason] = Stack(given).refused
    assert because in reason


EARLY = [0.5, 0.667]
SCHEDULES = PARAMETERS["ScheduleMinutes"]["AllowedValues"]
LIVES = [life for life in PARAMETERS["TokenLifetime"]["AllowedValues"] if life != "other"]
CONSUMER_CACHE = PARAMETERS["ConsumerCacheSeconds"]["Default"]


def works(life: str, renew_at: float, minutes: int) -> bool:
    """Whether consumers are safe, somebody is called before they suffer, and nobody is while all is well."""
    contract = Contract(schedule_interval=minutes * 60, consumer_cache=CONSUMER_CACHE)
    seconds = int(life[:-1]) * UNITS[life[-1]]
    line = DOCUMENT["Mappings"]["SafetyLines"][life]["Seconds"]
    is_safe = contract.problem(seconds, renew_at) is None
    is_quiet = contract.least_life(seconds, renew_at) >= line - ROUNDING
    is_in_time = line - minutes * 60 >= CONSUMER_CACHE
    return is_safe and is_quiet and is_in_time


@pytest.mark.parametrize("life", LIVES)
def test_a_schedule_is_refused_exactly_if_it_is_too_slow_for_the_tokens_life(life: str) -> None:
    latest = max(PARAMETERS["RenewAt"]["AllowedValues"])
    for renew_at, minutes in product(PARAMETERS["RenewAt"]["AllowedValues"], SCHEDULES):
        given = {**SECRET, "TokenLifetime": life, "RenewAt": str(renew_at), "ScheduleMinutes": str(minutes)}
        judged_as = max(EARLY) if renew_at in EARLY else latest
        assert (Stack(given).refused == []) == works(life, judged_as, minutes), given


@pytest.mark.parametrize("life", LIVES)
def test_what_a_refusal_advises_is_not_refused(life: str) -> None:
    [reason] = Stack({**SECRET, "TokenLifetime": life, "ScheduleMinutes": "60", "RenewAt": "0.9"}).refused
    slowest = max(m for m in SCHEDULES if works(life, max(EARLY), m))
    assert ("every minute" if slowest == 1 else f"every {slowest} minutes or more often") in reason
    given = {**SECRET, "TokenLifetime": life, "ScheduleMinutes": str(slowest), "RenewAt": "0.667"}
    assert Stack(given).refused == []


def test_tokens_of_another_life_are_the_functions_own_business() -> None:
    given = {**SECRET, "TokenLifetime": "other", "ScheduleMinutes": "60", "RenewAt": "0.9"}
    assert Stack(given).refused == []


def test_rules_use_only_what_cloudformation_allows_in_them() -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-rules.html."""

    def functions(value: Any) -> set[str]:
        if isinstance(value, list):
            return set().union(*map(functions, value))
        if isinstance(value, dict):
            own = {name for name in value if name.startswith("Fn::") or name == "Ref"}
            return own.union(*map(functions, value.values()))
        return set()

    allowed = {"Fn::And", "Fn::Or", "Fn::Not", "Fn::Equals", "Fn::Contains", "Ref"}
    assert functions(DOCUMENT["Rules"]) <= allowed
