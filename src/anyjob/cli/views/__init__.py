"""The commands that draw conclusions from the ledger: explain, graph, report, usage."""
