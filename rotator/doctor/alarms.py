"""The check of a stack's alarms: whether they notify anyone."""

from __future__ import annotations

from collections.abc import Mapping

from rotator.config.deployment import Inspector
from rotator.doctor.check import NotChecked
from rotator.errors import RotatorError

CHECK = "alarms"
"""The name of the check."""


def check_alarms(outputs: Mapping[str, str], inspector: Inspector) -> str:
    """Return how many subscriptions the alarms are sent to.

    Raises:
        RotatorError: None is confirmed: SNS takes alarms all the same, and notifies no one.
        NotChecked: The stack has no topic. It need not have one: alarms can be read in CloudWatch.
    """
    topic = outputs.get("AlarmTopicArn")
    if topic is None:
        raise NotChecked("alarms notify no one: deploy with AlarmEmail or AlarmTopicArn to be notified")
    subscriptions = inspector.subscriptions(topic)
    confirmed = sum(subscription.confirmed for subscription in subscriptions)
    if confirmed:
        pending = len(subscriptions) - confirmed
        return f"confirmed subscriptions: {confirmed}" + (f"; not confirmed: {pending}" if pending else "")
    subscribe = f"aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint ..."
    if subscriptions:
        raise RotatorError(
            "alarms notify no one: no subscription of their topic is confirmed",
            advice=f"confirm the mail that SNS sent, or have it sent again: {subscribe}",
        )
    raise RotatorError("alarms notify no one: their topic has no subscription", advice=subscribe)
