"""What a deployed function is told: its settings, read from the stack that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rotator.adapters import aws, lookup
from rotator.errors import SettingsError

FUNCTION = "Function"
"""The function's logical id in infra/template.yaml."""

WHERE_SECRETS_GO: Mapping[str, str] = MappingProxyType(
    {
        "SecretArn": "ROTATOR_SECRET_ID",
        "TokenEndpoint": "ROTATOR_TOKEN_ENDPOINT",
        "AllowedHosts": "ROTATOR_ALLOWED_HOSTS",
        "RotationsPath": "ROTATOR_ROTATIONS_PATH",
    }
)
"""Parameters of the template, and the variables that must say the same."""


def function_variables(stack: str) -> dict[str, str]:
    """Return the environment variables of a stack's function (GetFunctionConfiguration).

    Raises SettingsError if there is no such stack, it has no such function, or somebody has changed
    by hand where the function sends secrets; RotatorError if it cannot be read.
    """
    name = _function(stack)
    answer = lookup.look_up(
        aws.client("lambda").get_function_configuration,
        f"the settings of {name}",
        "lambda:GetFunctionConfiguration",
        FunctionName=name,
    )
    variables: dict[str, str] = dict(answer.get("Environment", {}).get("Variables", {}))
    _refuse_changed(stack, _parameters(stack), variables)
    return variables


def _function(stack: str) -> str:
    """The function's name, as CloudFormation knows it: outputs may say anything."""
    cloudformation = aws.client("cloudformation")
    answer = lookup.look_up(
        cloudformation.describe_stack_resource,
        f"the stack {stack}",
        "cloudformation:DescribeStackResource",
        missing="ValidationError",
        StackName=stack,
        LogicalResourceId=FUNCTION,
    )
    if answer is None:
        raise SettingsError(
            f"there is no stack {stack} with a rotator in it",
            advice="check its name, the account and the Region",
        )
    return str(answer["StackResourceDetail"]["PhysicalResourceId"])


def _parameters(stack: str) -> dict[str, str]:
    answer: Any = lookup.look_up(
        aws.client("cloudformation").describe_stacks,
        f"the stack {stack}",
        "cloudformation:DescribeStacks",
        StackName=stack,
    )
    found = answer["Stacks"][0].get("Parameters", ())
    return {each["ParameterKey"]: each.get("ParameterValue", "") for each in found}


def _refuse_changed(stack: str, parameters: Mapping[str, str], variables: Mapping[str, str]) -> None:
    """Send no secret where only the function says so: who may edit that need not be allowed the secret."""
    for parameter, variable in WHERE_SECRETS_GO.items():
        is_told = variable in variables  # one rotation is not told of a path, nor many of a secret
        if is_told and variables[variable] != parameters.get(parameter, ""):
            raise SettingsError(
                f"{variable} of the function is not {parameter} of the stack {stack}",
                advice="find out who changed it by hand, and deploy again",
            )
