"""Why a job waits, or what came of it, in words and with the way out: pure functions of what is known."""
