"""What red-teaming knows before it begins: the grid of topics and strategies, and what a refusal is."""
