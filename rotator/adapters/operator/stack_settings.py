"""The settings of a deployed stack, read from the stack's parameters.

They are not read from the function's variables: a person who may edit the function could make an operator's
command send the secret to another host. The stack's parameters are also available if the function was
deleted.
"""

from __future__ import annotations

from collections.abc import Mapping

from rotator.adapters.operator.inspector import AwsInspector
from rotator.config.rotation_documents import ROTATION_SETTINGS
from rotator.errors import SettingsError

_PARAMETERS = {
    "secret_id": "SecretArn",
    "kms_key_id": "ParameterKmsKeyArn",
    "tier": "ParameterTier",
    "signing_key_id": "SigningKeyArn",
    "consumer_cache": "ConsumerCacheSeconds",
}
"""The template's parameters that do not have the name of their setting (infra/template.yaml)."""

_RUN_SETTINGS = (
    *("allowed_hosts", "token_lifetime", "consumer_cache"),
    *("writes_per_second", "replica_regions", "log_level"),
)

IDENTIFYING_PARAMETERS = {"SecretArn", "ParameterName", "TokenEndpoint", "RotationsPath", "ScheduleMinutes"}
"""The parameters that identify a rotator's stack; an older stack may lack newer parameters."""


def stack_variables(name: str) -> dict[str, str]:
    """Return the environment variables of a stack's function.

    Raises SettingsError if there is no such stack or it is not a rotator's, RotatorError if the stack cannot
    be read (DescribeStacks).
    """
    stack = AwsInspector().stack(name)
    if stack is None:
        raise SettingsError(f"there is no stack {name}", advice="check the name, the account and the Region")
    if not stack.parameters.keys() >= IDENTIFYING_PARAMETERS:
        advice = "name a stack of infra/template.yaml"
        raise SettingsError(f"the stack {name} is not a rotator's", advice=advice)
    return variables_of(stack.parameters, created_key=stack.outputs.get("KeyArn"))


def variables_of(parameters: Mapping[str, str], *, created_key: str | None = None) -> dict[str, str]:
    """Return the variables that the template sets; ``created_key`` is the key that the stack created."""
    keys = ("rotations_path", "kms_key_id") if parameters["RotationsPath"] else ROTATION_SETTINGS
    names = {key: _PARAMETERS.get(key, key.title().replace("_", "")) for key in (*keys, *_RUN_SETTINGS)}
    variables = {
        f"ROTATOR_{key.upper()}": parameters[name] for key, name in names.items() if name in parameters
    }
    variables["ROTATOR_SCHEDULE_INTERVAL"] = f"{parameters['ScheduleMinutes']}m"
    if created_key:
        variables["ROTATOR_KMS_KEY_ID"] = created_key
    return variables
