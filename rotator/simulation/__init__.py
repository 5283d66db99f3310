"""The production code in virtual time: only the clock, AWS, the provider and the consumers are simulated."""
