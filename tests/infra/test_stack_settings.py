"""The operator's commands read the same settings from a stack as the template gives the function."""

from __future__ import annotations

import pytest

from rotator.adapters.operator.stack_settings import variables_of
from template import Stack

ONE = {"SecretArn": "arn:x", "TokenRequestParams": '{"expiration": "3600"}', "ScheduleMinutes": "1"}
MANY = {"RotationsPath": "/rotations", "AllowedHosts": "auth.example.com", "ConsumerCacheSeconds": "60"}


OF_WORKERS = {"ROTATOR_QUEUE_URL", "ROTATOR_WORKERS"}
"""An operator's command enqueues nothing: it serves the named rotations."""


@pytest.mark.parametrize(
    "given",
    [
        ONE,
        {**ONE, "ParameterKmsKeyArn": "arn:k"},
        {**ONE, "CreateKey": "true"},
        {**ONE, "ReplicaRegions": "eu-west-1,us-west-2"},
        {
            **ONE,
            "ClientAuthentication": "private_key_jwt",
            "SigningKeyArn": "arn:k",
            "SigningAlgorithm": "ES384",
            "KeyId": "key-1",
            "AssertionAudience": "https://auth.example.com",
            "CaParameterName": "/authorities",
        },
        MANY,
        {**MANY, "Workers": "2"},
        {**MANY, "ParameterKmsKeyArn": "arn:k"},
        {**MANY, "CreateKey": "true"},
    ],
    ids=[
        *("one rotation", "a key given", "a key created", "replicas", "a client assertion"),
        *("many rotations", "workers", "a key given for many", "a key created for many"),
    ],
)
def test_stack_settings_equal_the_function_environment(given: dict[str, str]) -> None:
    stack = Stack(given)
    variables = stack.resources["Function"]["Environment"]["Variables"]
    known = {name: value for name, value in variables.items() if name not in OF_WORKERS}
    assert variables_of(stack.parameters, created_key=stack.outputs.get("KeyArn")) == known


def test_older_stack_omits_variables_of_newer_settings() -> None:
    parameters = {name: value for name, value in Stack(ONE).parameters.items() if name != "SecretRollover"}
    variables = variables_of(parameters)
    assert "ROTATOR_SECRET_ROLLOVER" not in variables
    assert variables["ROTATOR_SECRET_ID"] == "arn:x"
