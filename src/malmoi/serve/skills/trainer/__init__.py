"""The skill trainer: people correct what skills did; runs are shown it at once, and models learn it later."""

from malmoi.serve.skills.trainer.routes import trainer_router
from malmoi.serve.skills.trainer.service import Trainer

__all__ = ["Trainer", "trainer_router"]
