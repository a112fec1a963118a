"""anyjob for agents: ``anyjob mcp``, a server of the Model Context Protocol."""
