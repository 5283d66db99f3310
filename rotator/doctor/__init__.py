"""``rotator doctor``: checks everything that the rotator needs, and changes nothing. Never in the zip."""
