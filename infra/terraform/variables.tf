# Generated from ../template.yaml: python -m infra.terraform.generate

variable "secret_arn" {
  type        = string
  description = "The full ARN, suffix included, of the secret that holds {\"client_id\": \"...\", \"client_secret\": \"...\"}; empty for many."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6})$", var.secret_arn))
    error_message = "secret_arn must be the full ARN of a secret, with the six characters at its end."
  }
}

variable "secret_kms_key_arn" {
  type        = string
  description = "The ARN of the secret's KMS key, if it has one of yours instead of aws/secretsmanager."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)$", var.secret_kms_key_arn))
    error_message = "secret_kms_key_arn must be empty or the ARN of a KMS key."
  }
}

variable "parameter_name" {
  type        = string
  description = "The parameter that will hold the token; beside it are <this>/status and <this>/lease. Not used for many."
  default     = "/healthwise/token"
  nullable    = false

  validation {
    condition     = can(regex("^(?:(/[A-Za-z0-9_.-]+){1,14})$", var.parameter_name)) && !can(regex("^(?:/(?i:aws|ssm))", var.parameter_name)) && length(var.parameter_name) <= 940
    error_message = "parameter_name must be a path such as /healthwise/token, not below /aws or /ssm, of at most 14 levels and 940 characters."
  }
}

variable "parameter_kms_key_arn" {
  type        = string
  description = "The ARN of the KMS key for the token, if it is to be one of yours instead of aws/ssm. Of many, for each whose document names none."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)$", var.parameter_kms_key_arn))
    error_message = "parameter_kms_key_arn must be empty or the ARN of a KMS key."
  }
}

variable "create_key" {
  type        = bool
  description = "Whether to create a KMS key for the tokens and the log. It stays when the stack is deleted, or nobody could read the tokens."
  default     = false
  nullable    = false
}

variable "parameter_tier" {
  type        = string
  description = "The token parameter's tier; over 4096 bytes a token needs an advanced one."
  default     = "Intelligent-Tiering"
  nullable    = false

  validation {
    condition     = contains(["Standard", "Advanced", "Intelligent-Tiering"], var.parameter_tier)
    error_message = "parameter_tier must be one of Standard, Advanced, Intelligent-Tiering."
  }
}

variable "rotations_path" {
  type        = string
  description = "For many rotations, the path of parameters that hold a JSON document each. Whoever may write there says where secrets go."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|(/[A-Za-z0-9_.-]+){1,14})$", var.rotations_path)) && !can(regex("^(?:/(?i:aws|ssm))", var.rotations_path)) && length(var.rotations_path) <= 880
    error_message = "rotations_path must be empty or a path such as /rotator/rotations, of at most 880 characters."
  }
}

variable "secret_prefix" {
  type        = string
  description = "For many rotations, what the names of their secrets begin with, such as healthwise/."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|([A-Za-z0-9_+=.@-]+/)+)$", var.secret_prefix)) && length(var.secret_prefix) <= 400
    error_message = "secret_prefix must be empty or end with a slash."
  }
}

variable "parameter_prefix" {
  type        = string
  description = "For many rotations, the path below which their tokens are; not the one of their documents."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|(/[A-Za-z0-9_.-]+){1,13})$", var.parameter_prefix)) && !can(regex("^(?:/(?i:aws|ssm))", var.parameter_prefix)) && length(var.parameter_prefix) <= 900
    error_message = "parameter_prefix must be empty or a path such as /healthwise, of at most 900 characters."
  }
}

variable "workers" {
  type        = number
  description = "With multiple rotations, the maximum number of concurrent workers that renew due rotations; 0 for renewal by the scheduled run itself."
  default     = 0
  nullable    = false

  validation {
    condition     = contains([0, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100], var.workers)
    error_message = "workers must be one of 0, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100."
  }
}

variable "replica_regions" {
  type        = string
  description = "Up to five other Regions, with commas between, in which each token and its status are kept, too, under the same names."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[a-z]{2,8}(-[a-z]{2,16}){1,2}-[0-9]{1,2}(,[a-z]{2,8}(-[a-z]{2,16}){1,2}-[0-9]{1,2}){0,4})$", var.replica_regions))
    error_message = "replica_regions must be empty or at most five Regions with commas and no spaces between, such as eu-west-1,us-east-1."
  }
}

variable "token_endpoint" {
  type        = string
  description = "Where tokens are requested."
  default     = "https://auth.healthwise.net/oauth2/token"
  nullable    = false

  validation {
    condition     = can(regex("^(?:https://[^@#\\s]+|http://(127\\.0\\.0\\.1|localhost)[:/][^@#\\s]*)$", var.token_endpoint))
    error_message = "token_endpoint must be an https address."
  }
}

variable "scope" {
  type        = string
  description = "The scope to ask for; empty for none."
  default     = "*"
  nullable    = false
}

variable "grant_type" {
  type        = string
  description = "What the provider calls the client credentials grant."
  default     = "client_credentials"
  nullable    = false

  validation {
    condition     = can(regex("^(?:[^\\s\"\\\\]{1,256})$", var.grant_type))
    error_message = "grant_type must be a grant's name or address."
  }
}

variable "token_request_format" {
  type        = string
  description = "How the token request is written, as RFC 6749 says (form) or as JSON."
  default     = "form"
  nullable    = false

  validation {
    condition     = contains(["form", "json"], var.token_request_format)
    error_message = "token_request_format must be one of form, json."
  }
}

variable "token_request_params" {
  type        = string
  description = "More parameters of the token request as a JSON object, such as {\"expiration\": \"86400\"}."
  default     = "{}"
  nullable    = false

  validation {
    condition     = can(regex("^(?:\\{.*\\})$", var.token_request_params))
    error_message = "token_request_params must be a JSON object."
  }
}

variable "token_request_headers" {
  type        = string
  description = "More headers of the token request as a JSON object, such as {\"X-Tenant\": \"a\"}; empty for none."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|\\{.*\\})$", var.token_request_headers))
    error_message = "token_request_headers must be empty or a JSON object."
  }
}

variable "client_authentication" {
  type        = string
  description = "How the client authenticates."
  default     = "client_secret_basic"
  nullable    = false

  validation {
    condition     = contains(["client_secret_basic", "client_secret_post", "private_key_jwt", "client_secret_jwt"], var.client_authentication)
    error_message = "client_authentication must be one of client_secret_basic, client_secret_post, private_key_jwt, client_secret_jwt."
  }
}

variable "client_id_in_body" {
  type        = bool
  description = "Whether client_id is sent as a parameter beside Basic authentication, too."
  default     = false
  nullable    = false
}

variable "basic_encoding" {
  type        = string
  description = "Basic authentication as Healthwise documents it (raw), or as RFC 6749 says (form)."
  default     = "raw"
  nullable    = false

  validation {
    condition     = contains(["raw", "form"], var.basic_encoding)
    error_message = "basic_encoding must be one of raw, form."
  }
}

variable "secret_members" {
  type        = string
  description = "Where the secret has client_id and client_secret, if not under these names, such as {\"client_secret\": \"oauth.clientSecret\"}."
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
  description = "The ARN of the asymmetric KMS key that signs for private_key_jwt. Of many, the one that their documents name."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)$", var.signing_key_arn))
    error_message = "signing_key_arn must be empty or the ARN of a KMS key."
  }
}

variable "signing_algorithm" {
  type        = string
  description = "How client assertions are signed; if empty, RS256 for private_key_jwt and HS256 for client_secret_jwt."
  default     = ""
  nullable    = false

  validation {
    condition     = contains(["", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "HS256", "HS384", "HS512"], var.signing_algorithm)
    error_message = "signing_algorithm must be one of empty, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, HS256, HS384, HS512."
  }
}

variable "key_id" {
  type        = string
  description = "What the provider calls the key (kid), or \"x5t#S256=\" and the thumbprint of its certificate; empty for none."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[!-~]{1,256})$", var.key_id))
    error_message = "key_id must be empty or printable characters without spaces."
  }
}

variable "assertion_audience" {
  type        = string
  description = "The audience of client assertions; if empty, token_endpoint."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|https?://[A-Za-z0-9.-]+(:[1-9][0-9]{0,3}|:[1-5][0-9]{4})?([/?][!$-;=?-\\[\\]-~]*)?)$", var.assertion_audience))
    error_message = "assertion_audience must be empty or an address such as https://auth.example.com."
  }
}

variable "ca_parameter_name" {
  type        = string
  description = "The name of a String parameter with PEM certificates that are trusted for the token endpoint besides the public ones. Of many, the one that their documents name."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|(/[A-Za-z0-9_.-]+){1,15})$", var.ca_parameter_name)) && length(var.ca_parameter_name) <= 967
    error_message = "ca_parameter_name must be empty or a path such as /healthwise/authorities."
  }
}

variable "secret_rollover" {
  type        = bool
  description = "Where AWSCURRENT is refused, try the secret's AWSPENDING and AWSPREVIOUS."
  default     = true
  nullable    = false
}

variable "response_members" {
  type        = string
  description = "Where the answer has its members, if not under their own names, such as {\"access_token\": \"data.token\"}."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|\\{.*\\})$", var.response_members))
    error_message = "response_members must be empty or a JSON object."
  }
}

variable "accepted_token_types" {
  type        = string
  description = "Token types that are taken for Bearer, with commas between."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[^\\s\",\\\\]+( *, *[^\\s\",\\\\]+)*)$", var.accepted_token_types))
    error_message = "accepted_token_types must be empty or token types with commas between."
  }
}

variable "lifetime" {
  type        = string
  description = "A token's life in seconds, whatever its answer says; empty to believe the answer."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[6-9][0-9]|[1-9][0-9]{2,6})$", var.lifetime))
    error_message = "lifetime must be empty or a number of seconds from 60."
  }
}

variable "fallback_lifetime" {
  type        = string
  description = "A token's life in seconds, for endpoints that do not tell it; empty where they do."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[6-9][0-9]|[1-9][0-9]{2,6})$", var.fallback_lifetime))
    error_message = "fallback_lifetime must be empty or a number of seconds from 60."
  }
}

variable "verify_url" {
  type        = string
  description = "An address that must answer 2xx to a GET with a new token before it is published; empty for none."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|https://[^@#\\s]+|http://(127\\.0\\.0\\.1|localhost)[:/][^@#\\s]*)$", var.verify_url))
    error_message = "verify_url must be empty or an https address."
  }
}

variable "allowed_hosts" {
  type        = string
  description = "The hosts that credentials and tokens may be sent to, with commas between; empty for any. Required for many rotations."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[A-Za-z0-9.-]+( *, *[A-Za-z0-9.-]+)*)$", var.allowed_hosts))
    error_message = "allowed_hosts must be host names with commas between, without ports."
  }
}

variable "schedule_minutes" {
  type        = number
  description = "How often the function looks whether a token is due."
  default     = 5
  nullable    = false

  validation {
    condition     = contains([1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60], var.schedule_minutes)
    error_message = "schedule_minutes must be one of 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60."
  }
}

variable "schedule_state" {
  type        = string
  description = "DISABLED pauses the stack. The token ends some time later, and the alarm says so before."
  default     = "ENABLED"
  nullable    = false

  validation {
    condition     = contains(["ENABLED", "DISABLED"], var.schedule_state)
    error_message = "schedule_state must be one of ENABLED, DISABLED."
  }
}

variable "token_lifetime" {
  type        = string
  description = "How long tokens live, the shortest-lived of many. Decides how slow the schedule may be, when the alarm on the time left fires, and what lifetime of a token is not believed."
  default     = "24h"
  nullable    = false

  validation {
    condition     = contains(["5m", "30m", "1h", "2h", "4h", "8h", "12h", "24h", "other"], var.token_lifetime)
    error_message = "token_lifetime must be one of 5m, 30m, 1h, 2h, 4h, 8h, 12h, 24h, other."
  }
}

variable "renew_at" {
  type        = number
  description = "The fraction of a token's life after which it is renewed."
  default     = 0.667
  nullable    = false

  validation {
    condition     = contains([0.1, 0.2, 0.3, 0.4, 0.5, 0.667, 0.75, 0.8, 0.9], var.renew_at)
    error_message = "renew_at must be one of 0.1, 0.2, 0.3, 0.4, 0.5, 0.667, 0.75, 0.8, 0.9."
  }
}

variable "consumer_cache_seconds" {
  type        = number
  description = "How long consumers keep a token before they read the parameter again. Over 300 s only with tokens of 24h, or other."
  default     = 300
  nullable    = false

  validation {
    condition     = contains([0, 60, 120, 300, 600, 900, 1800, 3600], var.consumer_cache_seconds)
    error_message = "consumer_cache_seconds must be one of 0, 60, 120, 300, 600, 900, 1800, 3600."
  }
}

variable "alarm_topic_arn" {
  type        = string
  description = "The ARN of an SNS topic of yours that alarms go to."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256})$", var.alarm_topic_arn))
    error_message = "alarm_topic_arn must be empty or the ARN of a standard SNS topic."
  }
}

variable "alarm_email" {
  type        = string
  description = "An address to which a new topic mails the alarms, once the address has confirmed that."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[^@\\s]+@[^@\\s]+\\.[^@\\s]+)$", var.alarm_email))
    error_message = "alarm_email must be empty or an e-mail address."
  }
}

variable "runbook_url" {
  type        = string
  description = "The folder in which your people find the runbooks, infra/docs/runbooks; each alarm links to a file there."
  default     = "infra/docs/runbooks"
  nullable    = false

  validation {
    condition     = can(regex("^(?:[^\\s#]+)$", var.runbook_url)) && length(var.runbook_url) <= 200
    error_message = "runbook_url must be an address without a fragment."
  }
}

variable "change_function_arn" {
  type        = string
  description = "The ARN of a function of yours to invoke when a token was written."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9_-]{1,128})?)$", var.change_function_arn))
    error_message = "change_function_arn must be empty or the ARN of a function or its alias."
  }
}

variable "change_queue_arn" {
  type        = string
  description = "The ARN of a queue of yours to tell when a token was written. The queue's policy must allow that."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|arn:aws[a-z-]*:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,80})$", var.change_queue_arn))
    error_message = "change_queue_arn must be empty or the ARN of a standard SQS queue."
  }
}

variable "redeploy_service" {
  type        = string
  description = "The ECS service to redeploy when a token was written, as cluster/service."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[A-Za-z0-9_-]{1,255}/[A-Za-z0-9_-]{1,255})$", var.redeploy_service))
    error_message = "redeploy_service must be empty or cluster/service."
  }
}

variable "code_bucket" {
  type        = string
  description = "The S3 bucket that holds the function's zip."
  nullable    = false

  validation {
    condition     = can(regex("^(?:[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])$", var.code_bucket))
    error_message = "code_bucket must be the name of a bucket."
  }
}

variable "timeout_seconds" {
  type        = number
  description = "How long one run may take, its retries included."
  default     = 60
  nullable    = false

  validation {
    condition     = var.timeout_seconds >= 10 && var.timeout_seconds <= 900
    error_message = "timeout_seconds must be from 10 to 900."
  }
}

variable "memory_megabytes" {
  type        = number
  description = "The function's memory, which also decides its share of CPU."
  default     = 256
  nullable    = false

  validation {
    condition     = var.memory_megabytes >= 128 && var.memory_megabytes <= 1024
    error_message = "memory_megabytes must be from 128 to 1024."
  }
}

variable "reserved_concurrency" {
  type        = string
  description = "How many runs may go on at once; empty for no reservation, which new accounts cannot make."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[1-9][0-9]{0,2})$", var.reserved_concurrency))
    error_message = "reserved_concurrency must be empty or a number from 1 to 999."
  }
}

variable "writes_per_second" {
  type        = number
  description = "How many of the account's PutParameter calls a second it allows itself; a renewal takes three."
  default     = 2
  nullable    = false

  validation {
    condition     = var.writes_per_second >= 0.1 && var.writes_per_second <= 10000
    error_message = "writes_per_second must be from 0.1 to 10000."
  }
}

variable "vpc_subnet_ids" {
  type        = string
  description = "Subnets to run in, with commas between. They need a way to the endpoint, Secrets Manager and SSM; to SQS with Workers; to KMS with signing_key_arn only."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|subnet-[0-9a-f]+(,subnet-[0-9a-f]+)*)$", var.vpc_subnet_ids))
    error_message = "vpc_subnet_ids must be empty or subnet ids with commas between."
  }
}

variable "vpc_security_group_ids" {
  type        = string
  description = "The security groups for those subnets, with commas between."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|sg-[0-9a-f]+(,sg-[0-9a-f]+)*)$", var.vpc_security_group_ids))
    error_message = "vpc_security_group_ids must be empty or security group ids with commas between."
  }
}

variable "https_proxy" {
  type        = string
  description = "The proxy by which the function reaches everything, also AWS; without user and password, since whoever may read its settings would read them."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?)$", var.https_proxy))
    error_message = "https_proxy must be empty or an address such as http://proxy.example.com:3128."
  }
}

variable "no_proxy" {
  type        = string
  description = "Hosts and domains that are reached without the proxy, with commas between, such as .amazonaws.com where there are VPC endpoints."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|[A-Za-z0-9.:/*-]+( *, *[A-Za-z0-9.:/*-]+)*)$", var.no_proxy))
    error_message = "no_proxy must be empty or names with commas between."
  }
}

variable "permissions_boundary_arn" {
  type        = string
  description = "The ARN of the managed policy that bounds the permissions of every role of the stack, where the organization demands one."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|arn:aws[a-z-]*:iam::(aws|[0-9]{12}):policy/[A-Za-z0-9_+=,.@/-]+)$", var.permissions_boundary_arn)) && length(var.permissions_boundary_arn) <= 682
    error_message = "permissions_boundary_arn must be empty or the ARN of a managed policy."
  }
}

variable "role_path" {
  type        = string
  description = "The IAM path of the stack's roles. Another path replaces the roles, so key policies that name the function's role need its new ARN."
  default     = "/"
  nullable    = false

  validation {
    condition     = can(regex("^(?:/([A-Za-z0-9_+=,.@-]+/)*)$", var.role_path)) && length(var.role_path) <= 128
    error_message = "role_path must be / or a path such as /teams/payments/, with a slash at both ends."
  }
}

variable "log_level" {
  type        = string
  description = "What the function logs."
  default     = "INFO"
  nullable    = false

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.log_level)
    error_message = "log_level must be one of DEBUG, INFO, WARNING, ERROR."
  }
}

variable "log_retention_days" {
  type        = number
  description = "How long its logs are kept."
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}

variable "log_kms_key_arn" {
  type        = string
  description = "The ARN of a KMS key of yours for the log; its policy must let CloudWatch Logs use it."
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(?:|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)$", var.log_kms_key_arn))
    error_message = "log_kms_key_arn must be empty or the ARN of a KMS key."
  }
}
