"""The commands about jobs that there are: which are meant, what is shown of them, what is done to them."""
