"""The renewal of one token: no I/O and no SDK."""
