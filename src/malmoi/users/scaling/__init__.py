"""How a model of users gets better with compute, batch size, history and data."""
