"""Ablations: one recipe, several variants, several seeds, and what the difference is worth."""
