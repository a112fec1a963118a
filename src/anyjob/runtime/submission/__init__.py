"""How work is handed over: checked and lowered, written down before the engine hears of it, launched.

`submit` does it from end to end; what a launch without an answer leaves is told by `take_back`.
"""
