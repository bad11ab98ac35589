"""Studies: the same question put to several fits under one budget."""
