"""The commands, one module each, and what they print. A command is imported when it runs."""
