"""How the programs of the `local` backend talk to each other: sockets, framed messages, an event loop.

It stays light, for the keeper imports it; it imports nothing else of `local`.
"""
