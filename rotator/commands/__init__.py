"""Commands for people who read: the token, a command that gets it, and the state as it changes.

A module of this package is imported only when its command is run.
"""
