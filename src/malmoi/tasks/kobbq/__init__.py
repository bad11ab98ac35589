"""KoBBQ: what an answer says."""
