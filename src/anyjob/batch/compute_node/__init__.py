"""What runs on compute nodes, where anyjob is not installed: `files.node_program` ships it."""
