"""Settings, rotation documents, and which rotations they describe."""
