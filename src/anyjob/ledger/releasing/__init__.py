"""Jobs that a releaser hands to their engine after their submitter has left: which, and whose."""
