"""The ledger on the disk: the state directory, the database, its tables, and the salvage of a damaged one."""
