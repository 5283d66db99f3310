"""The Region in a parameter's ARN, in which a consumer reads the parameter."""

from __future__ import annotations

import re

from rotator.adapters.runtime import aws_client
from rotator.errors import SettingsError

_ARN = re.compile(r"arn:(aws[a-z-]*):ssm:([a-z0-9-]+):[0-9]{12}:parameter/\S+")


def region_of(parameter_name: str, client_region: str | None = None) -> str | None:
    """Return the Region of a parameter's ARN; None for a name, which is read in the caller's own Region.

    Raises SettingsError if the ARN is malformed, of another Region than the client that the caller gave, or
    of another partition than the caller's Region, so that the credentials are not valid there.
    """
    if not parameter_name.startswith("arn:"):
        return None
    found = _ARN.fullmatch(parameter_name)
    if not found:
        raise SettingsError(
            f"{parameter_name[:128]} is not the ARN of a parameter",
            advice="write arn:aws:ssm:REGION:ACCOUNT:parameter/NAME (arn:aws-cn: in China, "
            "arn:aws-us-gov: in GovCloud)",
        )
    partition, region = found.groups()
    actual = aws_client.partition_of(region)
    if actual != partition:
        raise SettingsError(
            f"the ARN {parameter_name} names the partition {partition}, but "
            + (f"the Region {region} is in {actual}" if actual else f"there is no Region {region}"),
            advice="correct the ARN",
        )
    own = client_region or aws_client.own_region()
    if own and aws_client.partition_of(own) != partition:
        raise SettingsError(
            f"the ARN {parameter_name} is of the partition {partition}, but this caller's Region is {own}",
            advice=f"use credentials of {partition}, and set AWS_DEFAULT_REGION to one of its Regions",
        )
    if client_region and client_region != region:
        raise SettingsError(
            f"the parameter's ARN is of the Region {region}, but the given client calls {client_region}",
            advice=f"pass a client of {region}, or none",
        )
    return region
