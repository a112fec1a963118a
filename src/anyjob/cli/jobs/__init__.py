"""The commands that look at jobs: which are meant, and what is shown of them."""
