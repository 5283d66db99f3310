"""The outside world: the only users of the AWS SDK, requests and tenacity."""
