"""Judge a model: run tasks through an engine, keep every answer, and say how sure the figures are."""
