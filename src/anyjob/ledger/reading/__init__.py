"""What is read of the ledger: jobs and those that a text means, their attempts, graphs and results."""
