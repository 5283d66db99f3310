"""Parameter Store in a replica Region."""

from __future__ import annotations

from collections.abc import Callable

from rotator.adapters.runtime import aws_client, aws_errors
from rotator.adapters.runtime.parameter_store import SsmParameterStore
from rotator.errors import SettingsError

REMOVE = "remove it from ReplicaRegions (ROTATOR_REPLICA_REGIONS)"


def open_store(region: str, on_throttled: Callable[[], None]) -> SsmParameterStore:
    """Open Parameter Store in a replica Region; ``on_throttled`` is called for each throttled write.

    Raises SettingsError if the Region cannot hold replicas, AwsError if the credentials cannot be obtained.
    """
    home = aws_client.own_region()
    if region == home:
        raise SettingsError(f"the replica Region {region} is the home Region", advice=REMOVE)
    partition = aws_client.partition_of(region)
    if partition is None:
        raise SettingsError(f"there is no Region {region}", advice=f"correct the name, or {REMOVE}")
    # Home's credentials are not valid in another partition.
    if home and partition != (home_partition := aws_client.partition_of(home)):
        raise SettingsError(
            f"the replica Region {region} is in the partition {partition}, "
            f"but the home Region {home} is in {home_partition}",
            advice=f"{REMOVE}, and deploy a stack in the partition {partition}",
        )
    advice = {
        **dict.fromkeys(
            aws_errors.UNKNOWN_CALLER, f"enable the Region {region} in this account, or {REMOVE}"
        ),
        "InvalidKeyId": f"check that kms_key_id names a key in {region}, too: the replica of a multi-Region "
        "key, or a key of the same alias",
        aws_errors.UNREACHABLE: f"check that the Region {region} exists, and the network path to its "
        f"Parameter Store, or {REMOVE}",
    }
    # Two attempts are enough, since the next run retries.
    client = aws_client.client("ssm", aws_client.TWO_ATTEMPTS, region=region)
    return SsmParameterStore(client, on_throttled=on_throttled, advice=advice)
