"""The job in virtual time, for ``rotator simulate``: years of faults in minutes.

The job, its retry layer and its checks are those that run in production. Clock, AWS, the provider of tokens
and the consumers are simulated, with the faults of real ones. Nothing here is in the function's zip.
"""
