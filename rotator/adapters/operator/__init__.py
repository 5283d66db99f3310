"""The calls of an operator's commands: never in the function's zip."""
