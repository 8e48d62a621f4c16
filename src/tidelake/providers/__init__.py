"""Sources of prices: what each is asked and how its answers are read; one module each. No sockets, no files."""
