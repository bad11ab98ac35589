"""What `malmoi bench users` measures: training against an existing library, encoding, recommending."""
