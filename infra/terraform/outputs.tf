# Generated from ../template.yaml: python -m infra.terraform.generate

output "function_name" {
  description = "The name of the function, for `rotator rotate --function ...`."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "FunctionName", null)
}

output "function_role_arn" {
  description = "The ARN of the function's execution role, for key policies."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "FunctionRoleArn", null)
}

output "consumer_policy_arn" {
  description = "The ARN of the managed policy for consumers of the token."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "ConsumerPolicyArn", null)
}

output "parameter_name" {
  description = "The parameter that holds the token."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "ParameterName", null)
}

output "status_parameter_name" {
  description = "The parameter that holds the status of the token. It contains no secret."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "StatusParameterName", null)
}

output "rotations_path" {
  description = "The path of the rotation documents."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "RotationsPath", null)
}

output "key_arn" {
  description = "The KMS key of the tokens and the log. It is kept when the stack is deleted."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "KeyArn", null)
}

output "schedule_name" {
  description = "The schedule that invokes the function."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "ScheduleName", null)
}

output "schedule_group_name" {
  description = "The schedule group, which contains only this schedule."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "ScheduleGroupName", null)
}

output "dead_letter_queue_url" {
  description = "The queue of scheduled runs that could not be delivered to the function."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "DeadLetterQueueUrl", null)
}

output "failed_runs_queue_url" {
  description = "The queue of records of failed runs."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "FailedRunsQueueUrl", null)
}

output "work_queue_url" {
  description = "The queue of rotations that workers renew."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "WorkQueueUrl", null)
}

output "poisoned_queue_url" {
  description = "The dead-letter queue of messages that were received five times."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "PoisonedQueueUrl", null)
}

output "alarm_topic_arn" {
  description = "The SNS topic to which the alarms are sent."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "AlarmTopicArn", null)
}

output "dashboard_name" {
  description = "The CloudWatch dashboard."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "DashboardName", null)
}

output "log_group_name" {
  description = "The log group of the function."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "LogGroupName", null)
}
