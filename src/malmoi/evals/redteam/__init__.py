"""The automatic red team: generate attacks, let a model answer, classify, keep what failed."""
