"""Rotator keeps an OAuth 2.0 access token in SSM Parameter Store good, always.

A scheduled function reads client credentials from AWS Secrets Manager, requests a new access
token before the current one expires, and writes it where its consumers read it.
"""

__version__ = "0.2.0"

__all__ = ["__version__"]
