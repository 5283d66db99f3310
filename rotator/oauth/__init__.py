"""The client credentials grant of OAuth 2.0, without I/O (RFC 6749, 4.4)."""
