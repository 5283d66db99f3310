"""Commands for people who read a token, and for those who look after many rotations.

A module of this package is imported only when its command is run.
"""
