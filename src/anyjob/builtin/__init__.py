"""The backends that come with anyjob, registered by its own entry points like anybody else's.

They import what is below `anyjob.session`; nothing imports them.
"""
