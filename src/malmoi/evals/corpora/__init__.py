"""What the sources of its text teach a model: to foretell text, and to learn from examples in its prompt."""
