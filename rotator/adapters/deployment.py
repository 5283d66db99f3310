"""What a deployed function is told: its settings, read from the stack that runs it."""

from __future__ import annotations

from typing import Any

from rotator.adapters import aws
from rotator.adapters.aws import AwsError
from rotator.errors import RotatorError, SettingsError


def function_variables(stack: str) -> dict[str, str]:
    """Return the environment variables of a stack's function (GetFunctionConfiguration).

    Raises SettingsError if there is no such stack or it has no function, RotatorError if they
    cannot be read.
    """
    outputs = _outputs(stack)
    if "FunctionName" not in outputs:
        raise SettingsError(
            f"the stack {stack} tells of no function", advice="name the stack of infra/template.yaml"
        )
    read = aws.client("lambda").get_function_configuration
    try:
        answer = aws.call(read, FunctionName=outputs["FunctionName"])
    except AwsError as error:
        action = "lambda:GetFunctionConfiguration"
        raise _failed(error, f"the settings of {outputs['FunctionName']}", action) from error
    return dict(answer.get("Environment", {}).get("Variables", {}))


def _outputs(stack: str) -> dict[str, Any]:
    describe = aws.client("cloudformation").describe_stacks
    try:
        answer = aws.call(describe, StackName=stack)
    except AwsError as error:
        if error.code in ("ValidationError", "ParamValidationError"):  # how CloudFormation says "no such"
            raise SettingsError(
                f"there is no stack {stack}", advice="check its name, the account and the Region"
            ) from error
        raise _failed(error, f"the stack {stack}", "cloudformation:DescribeStacks") from error
    return {each["OutputKey"]: each["OutputValue"] for each in answer["Stacks"][0].get("Outputs", ())}


def _failed(error: AwsError, what: str, action: str) -> RotatorError:
    advice = f"allow this caller {action} on it" if error.code in aws.DENIED else error.advice
    return RotatorError(
        f"{what} could not be read: {error.code}", advice=advice or "see the code in AWS's documentation"
    )
