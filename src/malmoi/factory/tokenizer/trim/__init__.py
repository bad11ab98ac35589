"""Making a model's vocabulary smaller: the tokens that a corpus needs, and the rows that belong to them."""
