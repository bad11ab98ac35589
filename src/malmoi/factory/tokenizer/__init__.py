"""Tokenizers: how they are trained, measured, and how text becomes token ids."""
