"""The `local` backend: jobs on this machine that outlive the process that submitted them."""
