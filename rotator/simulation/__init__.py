"""The job in virtual time, for ``rotator simulate``: years of faults in minutes.

The job, its retry layer and its checks are the production code. The clock, AWS, the provider of tokens and
the consumers are simulated, with realistic faults. The function's zip does not contain this package.
"""
