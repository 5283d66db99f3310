"""``rotator doctor``: checks everything that the rotator needs, changes nothing, and says what to do.

Never in the function's zip.
"""
