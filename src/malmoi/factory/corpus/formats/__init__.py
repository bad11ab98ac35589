"""How each kind of file becomes documents: opening, decoding, text, rows, HTML."""
