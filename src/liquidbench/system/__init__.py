"""The operating system, used safely: files and their locks, paths, archives, processes, and names from outside."""
