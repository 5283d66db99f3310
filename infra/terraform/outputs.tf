# Generated from ../template.yaml: python -m infra.terraform.generate

output "function_name" {
  description = "The function, for `rotator rotate --function ...`."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "FunctionName", null)
}

output "function_role_arn" {
  description = "The function's execution role, for key policies."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "FunctionRoleArn", null)
}

output "consumer_policy_arn" {
  description = "The managed policy for whoever reads the token."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "ConsumerPolicyArn", null)
}

output "parameter_name" {
  description = "Where consumers read the token."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "ParameterName", null)
}

output "status_parameter_name" {
  description = "What is known about the token, without a secret."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "StatusParameterName", null)
}

output "rotations_path" {
  description = "Where the rotations' documents are."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "RotationsPath", null)
}

output "key_arn" {
  description = "The key of tokens and log; it outlives the stack."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "KeyArn", null)
}

output "schedule_name" {
  description = "The schedule that starts the runs."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "ScheduleName", null)
}

output "schedule_group_name" {
  description = "The schedule's group, which holds it alone."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "ScheduleGroupName", null)
}

output "dead_letter_queue_url" {
  description = "Ticks that could not be delivered."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "DeadLetterQueueUrl", null)
}

output "failed_runs_queue_url" {
  description = "What Lambda knows of failed runs."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "FailedRunsQueueUrl", null)
}

output "work_queue_url" {
  description = "What workers are to renew."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "WorkQueueUrl", null)
}

output "poisoned_queue_url" {
  description = "Messages that were received five times, and failed or never ran."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "PoisonedQueueUrl", null)
}

output "alarm_topic_arn" {
  description = "Where alarms go."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "AlarmTopicArn", null)
}

output "dashboard_name" {
  description = "The dashboard in CloudWatch."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "DashboardName", null)
}

output "log_group_name" {
  description = "The function's log."
  value       = lookup(aws_cloudformation_stack.rotator.outputs, "LogGroupName", null)
}
