"""multilingual-e5-small: its file, its vocabulary, its network, and the engine of them."""
