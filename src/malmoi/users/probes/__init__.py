"""What frozen vectors of users know: simple classifiers from the vectors to a trait, against floors."""

from malmoi.users.probes.features import floors
from malmoi.users.probes.labels import Labels, read_labels
from malmoi.users.probes.report import ProbeReport, render_probes, run_probes

__all__ = ["Labels", "ProbeReport", "floors", "read_labels", "render_probes", "run_probes"]
