"""How fast documents are indexed and found: generated collections and their measurements."""
