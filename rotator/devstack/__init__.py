"""AWS and the Authorization API on loopback, for the demo and the tests.

The function's zip does not contain this package.
"""
