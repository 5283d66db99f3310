# Generated from ../template.yaml: python -m infra.terraform.generate

variable "secret_arn" {
  type        = string
  description = "The full ARN, including the suffix, of the secret that holds {\"client_id\": \"...\", \"client_secret\": \"...\"}. Empty with multiple rotations."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6})$", var.secret_arn))
    error_message = "secret_arn must be empty or the full ARN of a secret, including the six random characters at its end."
  }
}

variable "secret_kms_key_arn" {
  type        = string
  description = "The ARN of the secret's KMS key, if the secret is encrypted with your own key instead of aws/secretsmanager."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)$", var.secret_kms_key_arn))
    error_message = "secret_kms_key_arn must be empty or the ARN of a KMS key."
  }
}

variable "parameter_name" {
  type        = string
  description = "The parameter that holds the token. The function also writes <this name>/status and <this name>/lease. Not used with multiple rotations."
  default     = "/healthwise/token"
  nullable    = false

  validation {
    condition     = can(regex("^(?:(/[A-Za-z0-9_.-]+){1,14})$", var.parameter_name)) && !can(regex("^(?:/(?i:aws|ssm))", var.parameter_name)) && length(var.parameter_name) <= 940
    error_message = "parameter_name must be a path such as /healthwise/token, not below /aws or /ssm, of at most 14 levels and 940 characters."
  }
}

variable "parameter_kms_key_arn" {
  type        = string
  description = "The ARN of your own KMS key that encrypts the token, instead of aws/ssm. With multiple rotations, the key for each rotation whose document names no key."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)$", var.parameter_kms_key_arn))
    error_message = "parameter_kms_key_arn must be empty or the ARN of a KMS key."
  }
}

variable "create_key" {
  type        = bool
  description = "Whether to create a KMS key for the tokens and the log. The key is kept when the stack is deleted, because the tokens cannot be read without it."
  default     = false
  nullable    = false
}

variable "parameter_tier" {
  type        = string
  description = "The tier of the token parameter. A token of more than 4096 bytes needs an advanced parameter."
  default     = "Intelligent-Tiering"
  nullable    = false

  validation {
    condition     = contains(["Standard", "Advanced", "Intelligent-Tiering"], var.parameter_tier)
    error_message = "parameter_tier must be one of Standard, Advanced, Intelligent-Tiering."
  }
}

variable "rotations_path" {
  type        = string
  description = "With multiple rotations, the path of the parameters that hold their JSON documents. A principal that can write below this path decides where client secrets are sent."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|(/[A-Za-z0-9_.-]+){1,14})$", var.rotations_path)) && !can(regex("^(?:/(?i:aws|ssm))", var.rotations_path)) && length(var.rotations_path) <= 880
    error_message = "rotations_path must be empty or a path such as /rotator/rotations, of at most 880 characters."
  }
}

variable "secret_prefix" {
  type        = string
  description = "With multiple rotations, the prefix of the names of their secrets, such as healthwise/."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|([A-Za-z0-9_+=.@-]+/)+)$", var.secret_prefix)) && length(var.secret_prefix) <= 400
    error_message = "secret_prefix must be empty or end with a slash."
  }
}

variable "parameter_prefix" {
  type        = string
  description = "With multiple rotations, the path of the parameters that hold their tokens. It must differ from rotations_path."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|(/[A-Za-z0-9_.-]+){1,13})$", var.parameter_prefix)) && !can(regex("^(?:/(?i:aws|ssm))", var.parameter_prefix)) && length(var.parameter_prefix) <= 900
    error_message = "parameter_prefix must be empty or a path such as /healthwise, of at most 900 characters."
  }
}

variable "workers" {
  type        = number
  description = "With multiple rotations, the maximum number of concurrent workers that renew due rotations. With 0, the scheduled run renews them itself."
  default     = 0
  nullable    = false

  validation {
    condition     = contains([0, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100], var.workers)
    error_message = "workers must be one of 0, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100."
  }
}

variable "replica_regions" {
  type        = string
  description = "Up to five other Regions, separated by commas. Each token and its status are copied to parameters of the same names there."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[a-z]{2,8}(-[a-z]{2,16}){1,2}-[0-9]{1,2}(,[a-z]{2,8}(-[a-z]{2,16}){1,2}-[0-9]{1,2}){0,4})$", var.replica_regions))
    error_message = "replica_regions must be empty or at most five Regions separated by commas without spaces, such as eu-west-1,us-east-1."
  }
}

variable "token_endpoint" {
  type        = string
  description = "The address of the token endpoint, from which tokens are requested."
  default     = "https://auth.healthwise.net/oauth2/token"
  nullable    = false

  validation {
    condition     = can(regex("^(?:https://[^@#\\s]+|http://(127\\.0\\.0\\.1|localhost)[:/][^@#\\s]*)$", var.token_endpoint))
    error_message = "token_endpoint must be an https address."
  }
}

variable "scope" {
  type        = string
  description = "The scope to request. If empty, the request has no scope."
  default     = "*"
  nullable    = false
}

variable "grant_type" {
  type        = string
  description = "The grant_type that the provider uses for the client credentials grant."
  default     = "client_credentials"
  nullable    = false

  validation {
    condition     = can(regex("^(?:[^\\s\"\\\\]{1,256})$", var.grant_type))
    error_message = "grant_type must be the name or the URI of a grant type."
  }
}

variable "token_request_format" {
  type        = string
  description = "The format of the token request's body. The value form is the format of RFC 6749; json is a JSON object."
  default     = "form"
  nullable    = false

  validation {
    condition     = contains(["form", "json"], var.token_request_format)
    error_message = "token_request_format must be one of form, json."
  }
}

variable "token_request_params" {
  type        = string
  description = "Additional parameters of the token request as a JSON object, such as {\"expiration\": \"86400\"}."
  default     = "{}"
  nullable    = false

  validation {
    condition     = can(regex("^(?:\\{.*\\})$", var.token_request_params))
    error_message = "token_request_params must be a JSON object."
  }
}

variable "token_request_headers" {
  type        = string
  description = "Additional headers of the token request as a JSON object, such as {\"X-Tenant\": \"a\"}."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|\\{.*\\})$", var.token_request_headers))
    error_message = "token_request_headers must be empty or a JSON object."
  }
}

variable "client_authentication" {
  type        = string
  description = "How the client authenticates at the token endpoint."
  default     = "client_secret_basic"
  nullable    = false

  validation {
    condition     = contains(["client_secret_basic", "client_secret_post", "private_key_jwt", "client_secret_jwt"], var.client_authentication)
    error_message = "client_authentication must be one of client_secret_basic, client_secret_post, private_key_jwt, client_secret_jwt."
  }
}

variable "client_id_in_body" {
  type        = bool
  description = "Whether a request with Basic authentication also sends client_id as a parameter."
  default     = false
  nullable    = false
}

variable "basic_encoding" {
  type        = string
  description = "The encoding of the credentials for Basic authentication. The value raw is the encoding that Healthwise documents; form is the encoding of RFC 6749."
  default     = "raw"
  nullable    = false

  validation {
    condition     = contains(["raw", "form"], var.basic_encoding)
    error_message = "basic_encoding must be one of raw, form."
  }
}

variable "secret_members" {
  type        = string
  description = "The members of the secret that hold client_id and client_secret, if they have other names, such as {\"client_secret\": \"oauth.clientSecret\"}."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|\\{.*\\})$", var.secret_members))
    error_message = "secret_members must be empty or a JSON object."
  }
}

variable "secret_params" {
  type        = string
  description = "Parameters of the token request whose values are members of the secret, such as {\"password\": \"api_password\"}."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|\\{.*\\})$", var.secret_params))
    error_message = "secret_params must be empty or a JSON object."
  }
}

variable "secret_headers" {
  type        = string
  description = "Headers of the token request and of verify_url whose values are members of the secret, such as {\"X-API-Key\": \"api_key\"}."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|\\{.*\\})$", var.secret_headers))
    error_message = "secret_headers must be empty or a JSON object."
  }
}

variable "signing_key_arn" {
  type        = string
  description = "The ARN of the asymmetric KMS key that signs client assertions for private_key_jwt. With multiple rotations, the key that their documents name."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)$", var.signing_key_arn))
    error_message = "signing_key_arn must be empty or the ARN of a KMS key."
  }
}

variable "signing_algorithm" {
  type        = string
  description = "The algorithm that signs client assertions. If empty, RS256 for private_key_jwt and HS256 for client_secret_jwt."
  default     = ""
  nullable    = false

  validation {
    condition     = contains(["", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "HS256", "HS384", "HS512"], var.signing_algorithm)
    error_message = "signing_algorithm must be one of empty, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, HS256, HS384, HS512."
  }
}

variable "key_id" {
  type        = string
  description = "The id of the signing key at the provider (kid), or \"x5t#S256=\" followed by the thumbprint of its certificate. If empty, assertions name no key."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[!-~]{1,256})$", var.key_id))
    error_message = "key_id must be empty or printable characters without spaces."
  }
}

variable "assertion_audience" {
  type        = string
  description = "The audience of client assertions. If empty, the value of token_endpoint."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|https?://[A-Za-z0-9.-]+(:[1-9][0-9]{0,3}|:[1-5][0-9]{4})?([/?][!$-;=?-\\[\\]-~]*)?)$", var.assertion_audience))
    error_message = "assertion_audience must be empty or an address such as https://auth.example.com."
  }
}

variable "ca_parameter_name" {
  type        = string
  description = "The name of a String parameter with PEM certificates that are trusted for the token endpoint, in addition to the public certificate authorities. With multiple rotations, the parameter that their documents name."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|(/[A-Za-z0-9_.-]+){1,15})$", var.ca_parameter_name)) && length(var.ca_parameter_name) <= 967
    error_message = "ca_parameter_name must be empty or a path such as /healthwise/authorities."
  }
}

variable "secret_rollover" {
  type        = bool
  description = "Whether to try the secret's versions AWSPENDING and AWSPREVIOUS if the token endpoint refuses AWSCURRENT."
  default     = true
  nullable    = false
}

variable "response_members" {
  type        = string
  description = "The members of the token response, if they have other names than in RFC 6749, such as {\"access_token\": \"data.token\"}."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|\\{.*\\})$", var.response_members))
    error_message = "response_members must be empty or a JSON object."
  }
}

variable "accepted_token_types" {
  type        = string
  description = "Token types to accept as Bearer, separated by commas."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[^\\s\",\\\\]+( *, *[^\\s\",\\\\]+)*)$", var.accepted_token_types))
    error_message = "accepted_token_types must be empty or token types separated by commas."
  }
}

variable "lifetime" {
  type        = string
  description = "The lifetime of a token in seconds, regardless of the token response. If empty, the token response decides."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[6-9][0-9]|[1-9][0-9]{2,6})$", var.lifetime))
    error_message = "lifetime must be empty or a number of seconds, at least 60."
  }
}

variable "fallback_lifetime" {
  type        = string
  description = "The lifetime of a token in seconds, used if the token response does not state one."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[6-9][0-9]|[1-9][0-9]{2,6})$", var.fallback_lifetime))
    error_message = "fallback_lifetime must be empty or a number of seconds, at least 60."
  }
}

variable "verify_url" {
  type        = string
  description = "An address that must answer a GET request with 2xx before a new token is published. The request carries the new token. If empty, new tokens are not verified."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|https://[^@#\\s]+|http://(127\\.0\\.0\\.1|localhost)[:/][^@#\\s]*)$", var.verify_url))
    error_message = "verify_url must be empty or an https address."
  }
}

variable "allowed_hosts" {
  type        = string
  description = "The hosts to which credentials and tokens may be sent, separated by commas. If empty, any host. Required with multiple rotations."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[A-Za-z0-9.-]+( *, *[A-Za-z0-9.-]+)*)$", var.allowed_hosts))
    error_message = "allowed_hosts must be empty or host names without ports, separated by commas."
  }
}

variable "schedule_minutes" {
  type        = number
  description = "The time between scheduled runs in minutes. Each run renews the tokens that are due."
  default     = 5
  nullable    = false

  validation {
    condition     = contains([1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60], var.schedule_minutes)
    error_message = "schedule_minutes must be one of 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60."
  }
}

variable "schedule_state" {
  type        = string
  description = "DISABLED pauses the stack. While it is paused, tokens are not renewed and expire. The alarm token-ends-soon fires before that."
  default     = "ENABLED"
  nullable    = false

  validation {
    condition     = contains(["ENABLED", "DISABLED"], var.schedule_state)
    error_message = "schedule_state must be one of ENABLED, DISABLED."
  }
}

variable "token_lifetime" {
  type        = string
  description = "The lifetime of tokens, with multiple rotations the shortest one. It limits the time between scheduled runs, sets the threshold of the alarm token-ends-soon, and decides which lifetimes in token responses are implausible."
  default     = "24h"
  nullable    = false

  validation {
    condition     = contains(["5m", "30m", "1h", "2h", "4h", "8h", "12h", "24h", "other"], var.token_lifetime)
    error_message = "token_lifetime must be one of 5m, 30m, 1h, 2h, 4h, 8h, 12h, 24h, other."
  }
}

variable "renew_at" {
  type        = number
  description = "The fraction of its lifetime after which a token is renewed."
  default     = 0.667
  nullable    = false

  validation {
    condition     = contains([0.1, 0.2, 0.3, 0.4, 0.5, 0.667, 0.75, 0.8, 0.9], var.renew_at)
    error_message = "renew_at must be one of 0.1, 0.2, 0.3, 0.4, 0.5, 0.667, 0.75, 0.8, 0.9."
  }
}

variable "consumer_cache_seconds" {
  type        = number
  description = "The number of seconds for which consumers cache a token. More than 300 is allowed only if token_lifetime is 24h or other."
  default     = 300
  nullable    = false

  validation {
    condition     = contains([0, 60, 120, 300, 600, 900, 1800, 3600], var.consumer_cache_seconds)
    error_message = "consumer_cache_seconds must be one of 0, 60, 120, 300, 600, 900, 1800, 3600."
  }
}

variable "alarm_topic_arn" {
  type        = string
  description = "The ARN of your own SNS topic, to which the alarms are sent."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256})$", var.alarm_topic_arn))
    error_message = "alarm_topic_arn must be empty or the ARN of a standard SNS topic."
  }
}

variable "alarm_email" {
  type        = string
  description = "An e-mail address to which the alarms are sent. The stack creates an SNS topic, and the address must confirm its subscription."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[^@\\s]+@[^@\\s]+\\.[^@\\s]+)$", var.alarm_email))
    error_message = "alarm_email must be empty or an e-mail address."
  }
}

variable "runbook_url" {
  type        = string
  description = "The address of your copy of the folder infra/docs/runbooks. Each alarm links to a runbook in this folder."
  default     = "infra/docs/runbooks"
  nullable    = false

  validation {
    condition     = can(regex("^(?:[^\\s#]+)$", var.runbook_url)) && length(var.runbook_url) <= 200
    error_message = "runbook_url must be an address without a fragment."
  }
}

variable "change_function_arn" {
  type        = string
  description = "The ARN of a function to invoke when a token was written."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9_-]{1,128})?)$", var.change_function_arn))
    error_message = "change_function_arn must be empty or the ARN of a function or its alias."
  }
}

variable "change_queue_arn" {
  type        = string
  description = "The ARN of a queue to which an event is sent when a token was written. The queue's policy must allow it."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|arn:aws[a-z-]*:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,80})$", var.change_queue_arn))
    error_message = "change_queue_arn must be empty or the ARN of a standard SQS queue."
  }
}

variable "redeploy_service" {
  type        = string
  description = "The ECS service to redeploy when a token was written, in the form cluster/service."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[A-Za-z0-9_-]{1,255}/[A-Za-z0-9_-]{1,255})$", var.redeploy_service))
    error_message = "redeploy_service must be empty or have the form cluster/service."
  }
}

variable "code_bucket" {
  type        = string
  description = "The S3 bucket that holds the function's zip file."
  nullable    = false

  validation {
    condition     = can(regex("^(?:[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])$", var.code_bucket))
    error_message = "code_bucket must be the name of a bucket."
  }
}

variable "timeout_seconds" {
  type        = number
  description = "The longest time that one run may take in seconds, including its retries."
  default     = 60
  nullable    = false

  validation {
    condition     = var.timeout_seconds >= 10 && var.timeout_seconds <= 900
    error_message = "timeout_seconds must be from 10 to 900."
  }
}

variable "memory_megabytes" {
  type        = number
  description = "The function's memory in megabytes. It also decides the function's share of CPU."
  default     = 256
  nullable    = false

  validation {
    condition     = var.memory_megabytes >= 128 && var.memory_megabytes <= 1024
    error_message = "memory_megabytes must be from 128 to 1024."
  }
}

variable "reserved_concurrency" {
  type        = string
  description = "The maximum number of concurrent runs. If empty, no concurrency is reserved. A new account has too little concurrency to reserve any."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[1-9][0-9]{0,2})$", var.reserved_concurrency))
    error_message = "reserved_concurrency must be empty or a number from 1 to 999."
  }
}

variable "writes_per_second" {
  type        = number
  description = "The maximum number of PutParameter calls per second, which count against the account's quota. A renewal makes three."
  default     = 2
  nullable    = false

  validation {
    condition     = var.writes_per_second >= 0.1 && var.writes_per_second <= 10000
    error_message = "writes_per_second must be from 0.1 to 10000."
  }
}

variable "vpc_subnet_ids" {
  type        = string
  description = "The subnets in which the function runs, separated by commas. They need a route to the token endpoint, Secrets Manager and SSM; to SQS with Workers; to KMS with signing_key_arn only."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|subnet-[0-9a-f]+(,subnet-[0-9a-f]+)*)$", var.vpc_subnet_ids))
    error_message = "vpc_subnet_ids must be empty or subnet ids separated by commas."
  }
}

variable "vpc_security_group_ids" {
  type        = string
  description = "The security groups of the function in these subnets, separated by commas."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|sg-[0-9a-f]+(,sg-[0-9a-f]+)*)$", var.vpc_security_group_ids))
    error_message = "vpc_security_group_ids must be empty or security group ids separated by commas."
  }
}

variable "https_proxy" {
  type        = string
  description = "The proxy for all connections of the function, including those to AWS. It must not contain a user or a password, because every principal that can read the function's configuration could read them."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?)$", var.https_proxy))
    error_message = "https_proxy must be empty or an address such as http://proxy.example.com:3128."
  }
}

variable "no_proxy" {
  type        = string
  description = "Hosts and domains that are reached without the proxy, separated by commas, such as .amazonaws.com if the VPC has endpoints for AWS."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[A-Za-z0-9.:/*-]+( *, *[A-Za-z0-9.:/*-]+)*)$", var.no_proxy))
    error_message = "no_proxy must be empty or names separated by commas."
  }
}

variable "permissions_boundary_arn" {
  type        = string
  description = "The ARN of a managed policy that is the permissions boundary of each role of the stack, if your organization requires one."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|arn:aws[a-z-]*:iam::(aws|[0-9]{12}):policy/[A-Za-z0-9_+=,.@/-]+)$", var.permissions_boundary_arn)) && length(var.permissions_boundary_arn) <= 682
    error_message = "permissions_boundary_arn must be empty or the ARN of a managed policy."
  }
}

variable "role_path" {
  type        = string
  description = "The IAM path of the stack's roles. A change of the path replaces the roles, so a key policy that names the function's role needs its new ARN."
  default     = "/"
  nullable    = false

  validation {
    condition     = can(regex("^(?:/([A-Za-z0-9_+=,.@-]+/)*)$", var.role_path)) && length(var.role_path) <= 128
    error_message = "role_path must be / or a path with a leading and a trailing slash, such as /teams/payments/."
  }
}

variable "log_level" {
  type        = string
  description = "The least severe level of messages that the function logs."
  default     = "INFO"
  nullable    = false

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.log_level)
    error_message = "log_level must be one of DEBUG, INFO, WARNING, ERROR."
  }
}

variable "log_retention_days" {
  type        = number
  description = "The number of days for which the log is kept."
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}

variable "log_kms_key_arn" {
  type        = string
  description = "The ARN of your own KMS key for the log. Its key policy must allow CloudWatch Logs to use it."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)$", var.log_kms_key_arn))
    error_message = "log_kms_key_arn must be empty or the ARN of a KMS key."
  }
}
