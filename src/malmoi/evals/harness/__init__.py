"""The harness: our tasks and engines in lm-eval's evaluator, with every answer kept.

lm-eval is imported when a run begins, not before: it takes seconds.
"""
