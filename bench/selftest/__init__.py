"""`selftest`: how often `ab` cries wolf on this machine, and how often it catches something."""
