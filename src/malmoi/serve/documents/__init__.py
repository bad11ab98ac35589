"""Documents: collections with access rights, an index that follows what is uploaded, and hybrid search."""
