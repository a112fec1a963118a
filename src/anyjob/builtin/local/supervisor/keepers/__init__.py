"""The keeper as the supervisor sees it: started, connected to, asked, and what a dead one leaves.

Of `supervisor` it imports `jobs`, `scheduling` and what writes to the ledger; of the keeper its log.
"""
