"""Tasks: examples with a grader, shared by evaluation and training."""
