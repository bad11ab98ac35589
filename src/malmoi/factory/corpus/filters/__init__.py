"""What is dropped, and why: one file a family of rules, each a `Filter` with settings of its own."""
