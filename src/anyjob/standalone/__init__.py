"""What runs in any Python, with anyjob or without: it imports the standard library and its neighbours alone.

Our side copies these modules as files, or hands them to an interpreter as text.
"""
