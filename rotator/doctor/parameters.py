"""The checks of a rotation's parameters: whether the caller may write them, and whether a label blocks that.

A label on the oldest of 100 versions makes every write fail. A write of the token or status fails only after
a token was requested.
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html, under
ParameterMaxVersionLimitExceeded.
"""

from __future__ import annotations

from collections.abc import Sequence

from rotator.config.deployment import Inspector
from rotator.doctor.check import NotChecked
from rotator.errors import RotatorError
from rotator.renewal.lease import VERSIONS_KEPT
from rotator.renewal.models import Rotation, Stored


def check_parameters(rotation: Rotation, stored: Stored | RotatorError, inspector: Inspector) -> str:
    """Return the parameters that the caller may write; raises RotatorError if one may not be written."""
    if isinstance(stored, RotatorError):
        raise NotChecked('the parameters could not be read; see the check "stored token"')
    if stored.lease_error:
        raise stored.lease_error
    writable = []
    for name, version in _versions(rotation, stored):
        if version:  # a test write to an existing parameter is refused in any case, and changes nothing
            inspector.may_write(rotation, name)
            writable.append(name)
    if not writable:
        raise NotChecked(f"{rotation.parameter_name} does not exist yet; the first run creates it")
    found = f"this caller may write {', '.join(writable)}"
    if not stored.lease.version:
        found += f"; {rotation.lease_name} does not exist yet"
    if rotation.kms_key_id:  # Parameter Store may refuse the test write before it checks this permission
        found += f"; only a renewal shows whether the caller may use {rotation.kms_key_id}"
    return found


def full_parameters(rotation: Rotation, stored: Stored | RotatorError) -> list[str]:
    """Return the rotation's parameters whose next write deletes their oldest version."""
    if isinstance(stored, RotatorError):
        return []
    return [name for name, version in _versions(rotation, stored) if version >= VERSIONS_KEPT]


def check_labels(names: Sequence[str], inspector: Inspector) -> str:
    """Return that no label blocks a write; raises RotatorError if the oldest version of one has a label."""
    for name in names:
        try:
            versions = inspector.versions(name)
        except RotatorError as error:  # the permission is optional: it allows reading earlier tokens
            raise NotChecked(f"{error.problem}; {error.advice}") from error
        oldest = min(versions, default=0)
        if labels := " ".join(versions.get(oldest, ())):
            raise RotatorError(
                f"{name} cannot be written: its oldest version, {oldest}, has the label {labels}",
                advice="move the label to another version, or remove it: "
                f"aws ssm unlabel-parameter-version --name {name} --parameter-version {oldest} "
                f"--labels {labels}",
            )
    return f"no label on the oldest version of {', '.join(names)}"


def _versions(rotation: Rotation, stored: Stored) -> list[tuple[str, int]]:
    versions = (stored.token_version, stored.status_version, stored.lease.version)
    return list(zip(rotation.parameter_names, versions, strict=True))
