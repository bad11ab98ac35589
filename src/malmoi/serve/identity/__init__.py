"""Accounts, sessions, keys, and who may do what."""
