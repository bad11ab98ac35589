"""KLUE: how its files are read, and what its structured answers say."""
