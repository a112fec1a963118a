"""Devices of providers: what they take, how their jobs are made, followed and understood."""
