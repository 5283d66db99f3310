terraform {
  required_version = ">= 1.5" # checks

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.51" # code_sha256
    }
  }
}
