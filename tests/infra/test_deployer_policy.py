"""The deployer's policy has the permissions that each kind of resource in the template needs.

tests/e2e/test_deploy.py deploys with it.
"""

from __future__ import annotations

import json
from typing import Any

from rotator.devstack.deployment import CHECKOUT
from template import DOCUMENT

LONGEST_MANAGED_POLICY = 6144
"""Characters without white space: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html."""

TEXT = (CHECKOUT / "infra" / "deployer-policy.json").read_text()
STATEMENTS: list[dict[str, Any]] = json.loads(TEXT)["Statement"]
MAKES_AND_DELETES = {
    "AWS::CloudWatch::Alarm": {"cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"},
    "AWS::CloudWatch::Dashboard": {"cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards"},
    "AWS::Events::Rule": {"events:PutRule", "events:PutTargets", "events:RemoveTargets", "events:DeleteRule"},
    "AWS::IAM::ManagedPolicy": {"iam:CreatePolicy", "iam:DeletePolicy"},
    "AWS::IAM::Policy": {"iam:PutRolePolicy", "iam:DeleteRolePolicy"},
    "AWS::IAM::Role": {"iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PassRole", "iam:DeleteRole"},
    "AWS::KMS::Key": {"kms:CreateKey", "kms:PutKeyPolicy", "kms:EnableKeyRotation"},
    "AWS::Lambda::EventInvokeConfig": {
        "lambda:PutFunctionEventInvokeConfig",
        "lambda:DeleteFunctionEventInvokeConfig",
    },
    "AWS::Lambda::EventSourceMapping": {
        "lambda:CreateEventSourceMapping",
        "lambda:DeleteEventSourceMapping",
    },
    "AWS::Lambda::Function": {"lambda:CreateFunction", "lambda:DeleteFunction"},
    "AWS::Lambda::Permission": {"lambda:AddPermission", "lambda:RemovePermission"},
    "AWS::Logs::LogGroup": {"logs:CreateLogGroup", "logs:PutRetentionPolicy", "logs:DeleteLogGroup"},
    "AWS::SNS::Subscription": {"sns:Subscribe", "sns:Unsubscribe"},
    "AWS::SNS::Topic": {"sns:CreateTopic", "sns:Subscribe", "sns:DeleteTopic"},
    "AWS::SNS::TopicPolicy": {"sns:SetTopicAttributes"},
    "AWS::SQS::Queue": {"sqs:CreateQueue", "sqs:DeleteQueue"},
    "AWS::SQS::QueuePolicy": {"sqs:SetQueueAttributes"},
    "AWS::Scheduler::Schedule": {"scheduler:CreateSchedule", "scheduler:DeleteSchedule"},
    "AWS::Scheduler::ScheduleGroup": {"scheduler:CreateScheduleGroup", "scheduler:DeleteScheduleGroup"},
    "AWS::StepFunctions::StateMachine": {"states:CreateStateMachine", "states:DeleteStateMachine"},
}


def actions(statement: dict[str, Any]) -> set[str]:
    named = statement["Action"]
    return {named} if isinstance(named, str) else set(named)


def test_every_kind_of_resource_may_be_made_and_deleted() -> None:
    allowed = set().union(*map(actions, STATEMENTS))
    kinds = {resource["Type"] for resource in DOCUMENT["Resources"].values()}
    assert {kind: MAKES_AND_DELETES[kind] - allowed for kind in kinds} == {kind: set() for kind in kinds}


def test_roles_are_passed_to_the_services_that_assume_them() -> None:
    roles = [each for each in DOCUMENT["Resources"].values() if each["Type"] == "AWS::IAM::Role"]
    trusted = {
        each["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"]
        for each in roles
    }
    [passing] = [each for each in STATEMENTS if "iam:PassRole" in actions(each)]
    assert set(passing["Condition"]["StringEquals"]["iam:PassedToService"]) == trusted


def test_policy_fits_into_a_managed_policy_without_wildcard_actions() -> None:
    assert len("".join(TEXT.split())) <= LONGEST_MANAGED_POLICY
    assert not any("*" in action for each in STATEMENTS for action in actions(each))
