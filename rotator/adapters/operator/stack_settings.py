"""The settings of a deployed stack, read from the stack's parameters.

They are not read from the function's variables: a person who may edit the function could make an operator's
command send the secret to another host. The stack's parameters are also available if the function was
deleted.
"""

from __future__ import annotations

from collections.abc import Mapping

from rotator.adapters.operator.inspector import AwsInspector
from rotator.errors import SettingsError

SINGLE_ROTATION = {
    "SecretArn": "ROTATOR_SECRET_ID",
    "ParameterName": "ROTATOR_PARAMETER_NAME",
    "ParameterKmsKeyArn": "ROTATOR_KMS_KEY_ID",
    "ParameterTier": "ROTATOR_TIER",
    "TokenEndpoint": "ROTATOR_TOKEN_ENDPOINT",
    "Scope": "ROTATOR_SCOPE",
    "GrantType": "ROTATOR_GRANT_TYPE",
    "TokenRequestFormat": "ROTATOR_TOKEN_REQUEST_FORMAT",
    "TokenRequestParams": "ROTATOR_TOKEN_REQUEST_PARAMS",
    "TokenRequestHeaders": "ROTATOR_TOKEN_REQUEST_HEADERS",
    "ClientAuthentication": "ROTATOR_CLIENT_AUTHENTICATION",
    "ClientIdInBody": "ROTATOR_CLIENT_ID_IN_BODY",
    "BasicEncoding": "ROTATOR_BASIC_ENCODING",
    "SecretMembers": "ROTATOR_SECRET_MEMBERS",
    "SecretParams": "ROTATOR_SECRET_PARAMS",
    "SecretHeaders": "ROTATOR_SECRET_HEADERS",
    "ResponseMembers": "ROTATOR_RESPONSE_MEMBERS",
    "AcceptedTokenTypes": "ROTATOR_ACCEPTED_TOKEN_TYPES",
    "Lifetime": "ROTATOR_LIFETIME",
    "SigningKeyArn": "ROTATOR_SIGNING_KEY_ID",
    "SigningAlgorithm": "ROTATOR_SIGNING_ALGORITHM",
    "KeyId": "ROTATOR_KEY_ID",
    "AssertionAudience": "ROTATOR_ASSERTION_AUDIENCE",
    "CaParameterName": "ROTATOR_CA_PARAMETER_NAME",
    "FallbackLifetime": "ROTATOR_FALLBACK_LIFETIME",
    "VerifyUrl": "ROTATOR_VERIFY_URL",
    "SecretRollover": "ROTATOR_SECRET_ROLLOVER",
    "RenewAt": "ROTATOR_RENEW_AT",
}
MULTIPLE_ROTATIONS = {"RotationsPath": "ROTATOR_ROTATIONS_PATH", "ParameterKmsKeyArn": "ROTATOR_KMS_KEY_ID"}
RUN_SETTINGS = {
    "AllowedHosts": "ROTATOR_ALLOWED_HOSTS",
    "TokenLifetime": "ROTATOR_TOKEN_LIFETIME",
    "ConsumerCacheSeconds": "ROTATOR_CONSUMER_CACHE",
    "WritesPerSecond": "ROTATOR_WRITES_PER_SECOND",
    "ReplicaRegions": "ROTATOR_REPLICA_REGIONS",
    "LogLevel": "ROTATOR_LOG_LEVEL",
}
"""The template's parameters, and the variables that it sets from them (infra/template.yaml)."""

IDENTIFYING_PARAMETERS = ("SecretArn", "ParameterName", "TokenEndpoint", "RotationsPath", "ScheduleMinutes")
"""The parameters that identify a rotator's stack; an older stack may lack newer parameters."""


def stack_variables(name: str) -> dict[str, str]:
    """Return the environment variables of a stack's function.

    Raises SettingsError if there is no such stack or it is not a rotator's, RotatorError if the stack cannot
    be read (DescribeStacks).
    """
    stack = AwsInspector().stack(name)
    if stack is None:
        raise SettingsError(f"there is no stack {name}", advice="check the name, the account and the Region")
    if not all(parameter in stack.parameters for parameter in IDENTIFYING_PARAMETERS):
        raise SettingsError(
            f"the stack {name} is not a rotator's", advice="name a stack of infra/template.yaml"
        )
    return variables_of(stack.parameters, created_key=stack.outputs.get("KeyArn"))


def variables_of(parameters: Mapping[str, str], *, created_key: str | None = None) -> dict[str, str]:
    """Return the variables that the template sets; ``created_key`` is the key that the stack created."""
    names = MULTIPLE_ROTATIONS if parameters["RotationsPath"] else SINGLE_ROTATION
    known = {**names, **RUN_SETTINGS}
    variables = {variable: parameters[name] for name, variable in known.items() if name in parameters}
    variables["ROTATOR_SCHEDULE_INTERVAL"] = f"{parameters['ScheduleMinutes']}m"
    if created_key:
        variables["ROTATOR_KMS_KEY_ID"] = created_key
    return variables
