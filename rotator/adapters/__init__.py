"""The outside world: the only users of boto3, requests and tenacity."""
