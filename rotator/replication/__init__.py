"""Copies of tokens and their status in other Regions."""
