"""Recommenders that count: no training loop, seconds to fit; learned models are reported beside them."""
