# The stack of ../template.yaml, and the function's zip in a bucket. The secret is given by its ARN, so neither
# a credential nor a token is ever in the state.

variable "stack_name" {
  type        = string
  description = "The name of the CloudFormation stack; its alarms and its dashboard begin with it."
  default     = "rotator"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{0,127}$", var.stack_name))
    error_message = "stack_name must be letters, digits and hyphens, a letter first, at most 128 of them."
  }
}

variable "zip_file" {
  type        = string
  description = "The path of the function's zip, from a release or from `make build`."
  nullable    = false

  validation {
    condition     = fileexists(var.zip_file)
    error_message = "zip_file must be the path of the function's zip: there is no such file."
  }
}

variable "zip_sha256" {
  type        = string
  description = "The SHA-256 of the zip in hex, as the release states it. Another zip is refused."
  nullable    = false

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.zip_sha256))
    error_message = "zip_sha256 must be 64 hexadecimal digits in lower case."
  }
}

variable "tags" {
  type        = map(string)
  description = "The tags of the stack, which CloudFormation gives to its resources."
  default     = {}
  nullable    = false
}

locals {
  template = "${path.module}/../template.yaml"
  found    = filesha256(var.zip_file)
}

data "aws_s3_bucket" "code" {
  bucket = var.code_bucket
}

resource "aws_s3_object" "code" {
  bucket = data.aws_s3_bucket.code.id
  key    = "rotator/${var.zip_sha256}.zip" # CloudFormation updates the function's code for a new key only
  source = var.zip_file

  lifecycle {
    create_before_destroy = true # an update that is rolled back needs the previous zip

    precondition {
      condition     = local.found == var.zip_sha256
      error_message = "zip_file is not the zip that zip_sha256 names: its SHA-256 is ${local.found}. Give the zip and the SHA-256 of one release; nothing was changed."
    }
  }
}

resource "aws_s3_object" "template" { # too large for a request
  bucket = data.aws_s3_bucket.code.id
  key    = "rotator/${filesha256(local.template)}.yaml"
  source = local.template

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudformation_stack" "rotator" {
  name         = var.stack_name
  template_url = "https://${trimprefix(data.aws_s3_bucket.code.bucket_regional_domain_name, "${var.code_bucket}.")}/${var.code_bucket}/${aws_s3_object.template.key}"
  parameters   = merge(local.parameters, { CodeKey = aws_s3_object.code.key })
  capabilities = ["CAPABILITY_IAM"]
  tags         = var.tags
}

data "aws_lambda_function" "deployed" {
  function_name = aws_cloudformation_stack.rotator.outputs["FunctionName"]
}

# A caller who can write to the bucket can replace the zip before Lambda reads it. A check warns: an error would
# also stop the update or the destroy that follows.
check "code" {
  assert {
    condition     = data.aws_lambda_function.deployed.code_sha256 == filebase64sha256(var.zip_file)
    error_message = "The function ${data.aws_lambda_function.deployed.function_name} runs other code than zip_file. Check who may write to the bucket, then upload the right code by aws lambda update-function-code."
  }
}
