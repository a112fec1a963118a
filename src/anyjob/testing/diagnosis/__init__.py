"""What ``anyjob plugins check`` finds out about a plugin: by its metadata, and by importing it elsewhere."""
