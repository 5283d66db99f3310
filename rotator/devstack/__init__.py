"""AWS and the Authorization API on loopback, for the demo and the tests."""
