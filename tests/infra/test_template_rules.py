"""The template's rules: what CloudFormation refuses across parameters before it creates anything."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import Any

import pytest

from cloudwatch_alarms import EXTRA_PERIODS
from rotator.config.validators import UNIT_SECONDS
from rotator.renewal.guarantee import ROUNDING_SECONDS, Guarantee
from template import DOCUMENT, PARAMETERS, Stack

SECRET = {"SecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:healthwise/client-AbCdEf"}
KEY = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd"
SIGNED = {**SECRET, "ClientAuthentication": "private_key_jwt", "SigningKeyArn": KEY}
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
        pytest.param({**MANY, "Workers": "2"}, id="workers for many"),
        pytest.param({**SECRET, "CreateKey": "true"}, id="a key to create"),
        pytest.param({**SECRET, "ReplicaRegions": "eu-west-1", "ParameterKmsKeyArn": KEY}, id="replicas"),
        pytest.param({**SECRET, "ParameterKmsKeyArn": KEY, "LogKmsKeyArn": KEY}, id="given keys"),
        pytest.param({**SECRET, "AlarmEmail": "a@example.com"}, id="a topic to create"),
        pytest.param({**SECRET, "VpcSubnetIds": "subnet-1", "VpcSecurityGroupIds": "sg-1"}, id="a VPC"),
        pytest.param(SIGNED, id="a signing key"),
        pytest.param({**SIGNED, "SigningAlgorithm": "ES384", "KeyId": "key-1"}, id="a named signing key"),
        pytest.param({**MANY, "SigningKeyArn": KEY}, id="a signing key for many"),
        pytest.param(
            {**SECRET, "ClientAuthentication": "client_secret_jwt", "SigningAlgorithm": "HS512"},
            id="a secret that signs",
        ),
        pytest.param({**SECRET, "HttpsProxy": "http://proxy.example.com", "NoProxy": ".x"}, id="a proxy"),
    ],
)
def test_compatible_parameters_are_accepted(given: dict[str, str]) -> None:
    assert Stack(given).refused == []


@pytest.mark.parametrize(
    ("given", "because"),
    [
        pytest.param({}, "Set SecretArn for one rotation, or RotationsPath for multiple", id="nothing to do"),
        pytest.param({**SECRET, **MANY}, "Set SecretArn for one rotation, or", id="one and many"),
        pytest.param(
            {**MANY, "SecretPrefix": ""}, "requires SecretPrefix, which limits the secrets", id="any secret"
        ),
        pytest.param(
            {**MANY, "ParameterPrefix": ""}, "requires ParameterPrefix, which limits", id="any parameter"
        ),
        pytest.param({**MANY, "AllowedHosts": ""}, "RotationsPath requires AllowedHosts", id="any host"),
        pytest.param(
            {**MANY, "ParameterPrefix": "/rotator/rotations"},
            "could overwrite the rotation documents",
            id="own documents",
        ),
        pytest.param({**SECRET, "Workers": "2"}, "Workers require RotationsPath", id="workers for one"),
        pytest.param({**SIGNED, "SigningKeyArn": ""}, "private_key_jwt requires SigningKeyArn", id="no key"),
        pytest.param(
            {**SIGNED, "SigningAlgorithm": "HS256"}, "must begin with RS, PS or ES", id="a key and HS256"
        ),
        pytest.param(
            {**SIGNED, "ClientAuthentication": "client_secret_jwt"}, "Remove SigningKeyArn", id="two keys"
        ),
        pytest.param(
            {**SECRET, "ClientAuthentication": "client_secret_jwt", "SigningAlgorithm": "ES256"},
            "SigningAlgorithm must begin with HS",
            id="a secret and ES256",
        ),
        pytest.param({**SECRET, "SigningKeyArn": KEY}, "require a ClientAuthentication", id="a key unused"),
        pytest.param({**SECRET, "KeyId": "key-1"}, "require a ClientAuthentication", id="a kid unused"),
        pytest.param({**SECRET, "NoProxy": ".x"}, "NoProxy requires HttpsProxy", id="no proxy to except"),
        pytest.param(
            {**MANY, "Workers": "2", "ReservedConcurrency": "1"},
            "must be at least Workers + 1",
            id="workers and a reservation",
        ),
        pytest.param(
            {**SECRET, "CreateKey": "true", "ReplicaRegions": "eu-west-1"},
            "set ParameterKmsKeyArn to the ARN of a multi-Region key",
            id="a key of one Region and replicas",
        ),
        pytest.param(
            {**SECRET, "SecretPrefix": "a/"},
            "SecretPrefix and ParameterPrefix require RotationsPath",
            id="a prefix for one",
        ),
        pytest.param(
            {**SECRET, "CreateKey": "true", "ParameterKmsKeyArn": KEY},
            "Set ParameterKmsKeyArn or CreateKey, but not both",
            id="a key given and one to create",
        ),
        pytest.param(
            {**SECRET, "CreateKey": "true", "LogKmsKeyArn": KEY}, "Remove LogKmsKeyArn", id="two log keys"
        ),
        pytest.param(
            {
                **SECRET,
                "AlarmEmail": "a@b.example",
                "AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:x",
            },
            "Set AlarmTopicArn or AlarmEmail, but not both",
            id="a topic given and one to create",
        ),
        pytest.param({**SECRET, "VpcSubnetIds": "subnet-1"}, "Set both VpcSubnetIds and", id="subnets alone"),
        pytest.param(
            {**SECRET, "VpcSecurityGroupIds": "sg-1"}, "Set both VpcSubnetIds and", id="security groups alone"
        ),
    ],
)
def test_conflicting_parameters_are_refused_with_a_reason(given: dict[str, str], because: str) -> None:
    [reason] = Stack(given).refused
    assert because in reason


SCHEDULES = PARAMETERS["ScheduleMinutes"]["AllowedValues"]
FRACTIONS = PARAMETERS["RenewAt"]["AllowedValues"]
LIVES = [life for life in PARAMETERS["TokenLifetime"]["AllowedValues"] if life not in ("5m", "other")]
FIVE_MINUTES = {**SECRET, "TokenLifetime": "5m"}
CACHES = PARAMETERS["ConsumerCacheSeconds"]["AllowedValues"]
DEFAULT_CACHE = PARAMETERS["ConsumerCacheSeconds"]["Default"]


def judged_as(life: str, renew_at: float) -> float:
    """Rules distinguish early fractions, and single ones only for short lifetimes, where each counts."""
    if renew_at > 0.667:
        return float(max(FRACTIONS))
    return max(0.5, renew_at) if life in ("1h", "30m") else 0.667


def works(life: str, renew_at: float, minutes: int, cache: int = DEFAULT_CACHE) -> bool:
    """Whether consumers are safe, and the alarm quiet while all is well and in time, with runs or without."""
    alarm = token_ends_soon(life, minutes)
    silence = (alarm["EvaluationPeriods"] + EXTRA_PERIODS + 1) * alarm["Period"]
    misses_runs = seconds_of(life) * (1 - renew_at) - silence >= cache - ROUNDING_SECONDS
    return misses_runs and works_with_runs(life, renew_at, minutes, cache)


def works_with_runs(life: str, renew_at: float, minutes: int, cache: int) -> bool:
    """The same for the runs that come: a token of five minutes expires before CloudWatch misses them."""
    guarantee = Guarantee(schedule_interval=minutes * 60, consumer_cache=cache)
    threshold = token_ends_soon(life, minutes)["Threshold"]
    is_safe = guarantee.problem(seconds_of(life), renew_at) is None
    least = guarantee.guaranteed_lifetime(seconds_of(life), renew_at)
    sees_it_fall = threshold - minutes * 60 >= cache
    return is_safe and least >= threshold - ROUNDING_SECONDS and sees_it_fall


@lru_cache
def token_ends_soon(life: str, minutes: int) -> dict[str, Any]:
    """The properties of the alarm token-ends-soon."""
    given = {**SECRET, "TokenLifetime": life, "ScheduleMinutes": str(minutes)}
    return Stack(given).resources["TokenEndsSoon"]


def seconds_of(life: str) -> float:
    return int(life[:-1]) * UNIT_SECONDS[life[-1]]


@pytest.mark.parametrize("life", LIVES)
def test_schedule_is_refused_only_if_too_slow_for_the_lifetime(life: str) -> None:
    for renew_at, minutes in product(FRACTIONS, SCHEDULES):
        given = {**SECRET, "TokenLifetime": life, "RenewAt": str(renew_at), "ScheduleMinutes": str(minutes)}
        assert (Stack(given).refused == []) == works(life, judged_as(life, renew_at), minutes), given


@pytest.mark.parametrize("life", LIVES)
def test_accepted_parameters_work_with_any_consumer_cache(life: str) -> None:
    for renew_at, minutes, cache in product(FRACTIONS, SCHEDULES, CACHES):
        given = {
            **SECRET,
            "TokenLifetime": life,
            "RenewAt": str(renew_at),
            "ScheduleMinutes": str(minutes),
            "ConsumerCacheSeconds": str(cache),
        }
        assert Stack(given).refused or works(life, renew_at, minutes, cache), given


def test_tokens_of_five_minutes_are_accepted_only_if_safe() -> None:
    for renew_at, minutes, cache in product(FRACTIONS, SCHEDULES, CACHES):
        given = {
            **FIVE_MINUTES,
            "RenewAt": str(renew_at),
            "ScheduleMinutes": str(minutes),
            "ConsumerCacheSeconds": str(cache),
        }
        assert (Stack(given).refused == []) == works_with_runs("5m", renew_at, minutes, cache), given


def test_refusal_of_five_minute_tokens_says_what_they_need() -> None:
    [reason] = Stack(FIVE_MINUTES).refused
    assert (
        "a ScheduleMinutes of 1, a RenewAt of at most 0.2, and a ConsumerCacheSeconds of at most 60" in reason
    )


def test_long_consumer_cache_requires_a_long_token_lifetime() -> None:
    for life, cache in product(LIVES, CACHES):
        given = {**SECRET, "TokenLifetime": life, "ConsumerCacheSeconds": str(cache), "ScheduleMinutes": "1"}
        is_refused = any("ConsumerCacheSeconds above 300" in reason for reason in Stack(given).refused)
        assert is_refused == (cache > 1800 or (cache > 300 and life != "24h"))


@pytest.mark.parametrize("life", LIVES)
def test_advice_of_a_refusal_is_accepted(life: str) -> None:
    [reason] = Stack({**SECRET, "TokenLifetime": life, "ScheduleMinutes": "60", "RenewAt": "0.9"}).refused
    earliest = 0.5 if life in ("1h", "30m") else 0.667
    slowest = max(m for m in SCHEDULES if works(life, earliest, m))
    assert f"a ScheduleMinutes of at most {slowest}" in reason
    given = {**SECRET, "TokenLifetime": life, "ScheduleMinutes": str(slowest), "RenewAt": str(earliest)}
    assert Stack(given).refused == []


def test_other_lifetime_threshold_covers_cache_and_schedule() -> None:
    default = PARAMETERS["ScheduleMinutes"]["Default"] * 60 + DEFAULT_CACHE
    assert DOCUMENT["Mappings"]["SafetyLines"]["other"]["Seconds"] >= default


def test_other_lifetime_is_not_checked_by_the_rules() -> None:
    given = {
        **SECRET,
        "TokenLifetime": "other",
        "ScheduleMinutes": "60",
        "RenewAt": "0.9",
        "ConsumerCacheSeconds": "3600",
    }
    assert Stack(given).refused == []


def test_rules_use_only_functions_that_cloudformation_allows() -> None:
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
