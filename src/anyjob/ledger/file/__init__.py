"""The ledger on the disk: state directory, database and tables. `salvage` is for one that is damaged."""
