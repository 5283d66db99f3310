"""The adapters of an operator's commands, which are not part of the function's zip."""
