"""Files, paths and processes: atomic writes, locks, archives, child processes, and names that are safe to show."""
