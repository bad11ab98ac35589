"""The kinds of stages that recipes may use.

Other packages add theirs by the entry point group `malmoi.stages` ("module:Class").
"""

from typing import Any

from malmoi.core.registry import Registry
from malmoi.core.stage import Stage

STAGES = {
    "corpus": "malmoi.factory.corpus.stage:CorpusStage",
    "tokenizer": "malmoi.factory.tokenizer.stage:TokenizerStage",
    "model-tokenizer": "malmoi.factory.tokenizer.model_stage:ModelTokenizerStage",
    "tokens": "malmoi.factory.corpus.pack:TokensStage",
    "pretrain": "malmoi.factory.train.stage:PretrainStage",
    "gguf": "malmoi.factory.models.gguf:GgufStage",
    "fewshot": "malmoi.factory.fewshot:FewshotStage",
    "complete": "malmoi.factory.complete:CompleteStage",
}


def build_stages() -> Registry[type[Stage[Any]]]:
    """All kinds of stages, each imported when it is first used."""
    registry: Registry[type[Stage[Any]]] = Registry("stage")
    for name, target in STAGES.items():
        registry.add(name, target)
    return registry
