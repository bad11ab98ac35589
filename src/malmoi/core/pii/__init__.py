"""Personal data in texts: where it is, and texts without it."""

from malmoi.core.pii.find import KINDS, Finding, find_pii
from malmoi.core.pii.remove import REPLACEMENTS, PiiSettings, remove_pii
from malmoi.core.pii.stream import PiiStream

__all__ = ["KINDS", "REPLACEMENTS", "Finding", "PiiSettings", "PiiStream", "find_pii", "remove_pii"]
