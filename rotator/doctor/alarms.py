"""The check of a stack's alarms: whether they notify anyone."""

from __future__ import annotations

from collections.abc import Mapping

from rotator.config.deployment import Inspector
from rotator.doctor.check import NotChecked
from rotator.errors import RotatorError

CHECK = "alarms"
"""The name of the check."""


def check_alarms(outputs: Mapping[str, str], inspector: Inspector) -> str:
    """Return the number of confirmed subscriptions of the alarms' topic.

    Raises:
        RotatorError: No subscription is confirmed, so alarms do not notify anyone.
        NotChecked: The stack has no topic, which is optional: alarms can be read in CloudWatch.
    """
    topic = outputs.get("AlarmTopicArn")
    if topic is None:
        raise NotChecked("alarms do not notify anyone: deploy with AlarmEmail or AlarmTopicArn")
    subscriptions = inspector.subscriptions(topic)
    confirmed = sum(subscription.confirmed for subscription in subscriptions)
    if confirmed:
        pending = len(subscriptions) - confirmed
        return f"confirmed subscriptions: {confirmed}" + (f"; not confirmed: {pending}" if pending else "")
    subscribe = f"aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint ..."
    if subscriptions:
        raise RotatorError(
            "alarms do not notify anyone: no subscription of their topic is confirmed",
            advice=f"confirm the subscription in the mail from SNS, or request another mail: {subscribe}",
        )
    raise RotatorError(
        "alarms do not notify anyone: their topic has no subscription", advice=f"add one: {subscribe}"
    )
