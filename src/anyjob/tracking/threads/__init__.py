"""The threads on which jobs are told of: callbacks of users, blocking calls of async code, event loops."""
