"""A world in virtual time: the real job, and years of trouble in minutes.

The job, its retry layer and its checks are those that run in production. Around them, clock, AWS,
the provider of tokens and the consumers are simulated, and do what real ones do on bad days.
Nothing here is in the function's zip.
"""
