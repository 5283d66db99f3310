"""What a deployed function is told: its settings, read from the stack that runs it."""

from __future__ import annotations

from rotator.adapters import aws, lookup
from rotator.adapters.inspector import AwsInspector
from rotator.errors import SettingsError


def function_variables(stack: str) -> dict[str, str]:
    """Return the environment variables of a stack's function (GetFunctionConfiguration).

    Raises SettingsError if there is no such stack or it has no function, RotatorError if they
    cannot be read.
    """
    found = AwsInspector().stack(stack)
    if found is None:
        raise SettingsError(f"there is no stack {stack}", advice="check its name, the account and the Region")
    name = found.outputs.get("FunctionName")
    if name is None:
        raise SettingsError(
            f"the stack {stack} tells of no function", advice="name the stack of infra/template.yaml"
        )
    answer = lookup.look_up(
        aws.client("lambda").get_function_configuration,
        f"the settings of {name}",
        "lambda:GetFunctionConfiguration",
        FunctionName=name,
    )
    return dict(answer.get("Environment", {}).get("Variables", {}))
