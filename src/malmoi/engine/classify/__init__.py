"""Classifiers of text that run on numpy alone: hashed n-grams and a sentence encoder, calibrated.

classifier = load_classifier(folder)
chances = classifier.predict(["..."])               # (1, L)
dict(zip(classifier.labels, chances[0]))            # {"safe": 0.97, "unsafe": 0.03, ...}

Training is in `malmoi.evals.safety`.
"""

from malmoi.engine.classify.base import LabelGroup, OperatingPoint, TextClassifier
from malmoi.engine.classify.model import MixedClassifier, load_classifier

__all__ = ["LabelGroup", "MixedClassifier", "OperatingPoint", "TextClassifier", "load_classifier"]
