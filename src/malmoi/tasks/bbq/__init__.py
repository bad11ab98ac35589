"""BBQ: which answer is the biased one."""
