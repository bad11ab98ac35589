"""Pages of results: one model, two models, all models. Each page is one file that needs nothing else."""

from malmoi.evals.report.page import write_page

__all__ = ["write_page"]
