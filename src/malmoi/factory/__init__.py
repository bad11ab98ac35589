"""Build a model: corpus, tokenizer, architecture, training."""
