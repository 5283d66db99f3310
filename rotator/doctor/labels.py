"""The check of labels: a label on the oldest stored version of a parameter blocks every write.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html, under
ParameterMaxVersionLimitExceeded. A write of the token or status fails only after a token was requested.
"""

from __future__ import annotations

from collections.abc import Sequence

from rotator.config.deployment import Inspector
from rotator.doctor.check import NotChecked
from rotator.errors import RotatorError
from rotator.renewal.lease import VERSIONS_KEPT
from rotator.renewal.models import Rotation, Stored

CHECK = "labels"
"""The name of the check."""


def full_parameters(rotation: Rotation, stored: Stored | RotatorError) -> list[str]:
    """Return the rotation's parameters whose next write deletes their oldest version."""
    if isinstance(stored, RotatorError):
        return []
    versions = {
        rotation.parameter_name: stored.token_version,
        rotation.status_name: stored.status_version,
        rotation.lease_name: stored.lease.version,
    }
    return [name for name, version in versions.items() if version >= VERSIONS_KEPT]


def check_labels(names: Sequence[str], inspector: Inspector) -> str:
    """Return the finding that no label blocks a write of these parameters.

    Raises:
        RotatorError: The oldest version of a parameter has a label.
        NotChecked: The versions cannot be read. The permission is optional: it allows reading earlier tokens.
    """
    for name in names:
        try:
            oldest = min(inspector.versions(name), key=lambda version: version.number, default=None)
        except RotatorError as error:
            raise NotChecked(f"{error.problem}; {error.advice}") from error
        if oldest and oldest.labels:
            labels = " ".join(oldest.labels)
            raise RotatorError(
                f"{name} cannot be written: its oldest version, {oldest.number}, has the label {labels}",
                advice="move the label to another version, or remove it: "
                f"aws ssm unlabel-parameter-version --name {name} --parameter-version {oldest.number} "
                f"--labels {labels}",
            )
    return f"no label on the oldest version of {', '.join(names)}"
