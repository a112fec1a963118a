"""Promises of providers: what they offer, accounts and their options, a service that fails, and work."""
