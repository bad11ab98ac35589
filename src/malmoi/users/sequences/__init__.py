"""Models of users that read what they did in order: SASRec, CLUE, LMRec."""
