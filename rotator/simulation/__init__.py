"""The job in virtual time: years of faults in minutes, and every interleaving of a few runs.

The job, its retry layer and its checks are those that run in production. Clock, AWS, the provider of tokens
and the consumers are simulated, with the faults of real ones. Nothing here is in the function's zip.

``world`` and ``fleet_world`` simulate one rotation and fleets: ``simulate`` a scenario that a user gives,
``soak`` random ones. ``interleavings`` explores all orders of the calls of a few runs.
"""
