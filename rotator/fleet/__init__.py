"""Multiple rotations in one run."""
