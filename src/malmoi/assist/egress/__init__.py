"""The one way out: requests to servers that are not ours, which can only reach where they may."""

from malmoi.assist.egress.client import Answer, Egress, EgressRefused
from malmoi.assist.egress.rules import EgressRules

__all__ = ["Answer", "Egress", "EgressRefused", "EgressRules"]
