"""Multiple runs at a time: the queue of due rotations, and the workers that serve it."""
