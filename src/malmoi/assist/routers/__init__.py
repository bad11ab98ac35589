"""Routers: which of some topics a text is about, learned from examples alone, without a language model."""

from malmoi.assist.routers.classifier import Classifier, Found, Miss, Share, Shown, Topic, build_classifier

__all__ = ["Classifier", "Found", "Miss", "Share", "Shown", "Topic", "build_classifier"]
