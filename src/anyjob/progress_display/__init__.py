"""How far many jobs are while somebody waits for them: the figures, and where they are shown.
Imports `anyjob.text` and `anyjob.status`; rich and IPython only where they show something.
"""
