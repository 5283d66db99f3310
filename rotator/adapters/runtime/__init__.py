"""The calls of the function: part of its zip."""
