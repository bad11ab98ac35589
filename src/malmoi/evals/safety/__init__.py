"""Classifiers of unsafe text: data, training, measuring."""
