"""The salvage of a damaged ledger: what is sound of it, and what the spool knows, goes into a new one."""
