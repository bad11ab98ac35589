"""The recipe's stage that takes the tokenizer of an existing model, to go on training that model."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from malmoi.core.stage import Input, Stage, StageConfig, StageContext, fingerprint
from malmoi.core.store import Artifact, ArtifactKind
from malmoi.factory.tokenizer.opening import find_tokenizer, open_tokenizer, write_opened


class ModelTokenizerConfig(StageConfig):
    """Settings of the stage "model-tokenizer"."""

    model: str
    """A folder, a GGUF file, or the name of an installed model."""


class ModelTokenizerStage(Stage[ModelTokenizerConfig]):
    """The tokenizer of a model as an artifact; its ids are the model's own."""

    config: ClassVar[type[ModelTokenizerConfig]] = ModelTokenizerConfig
    kind: ClassVar[ArtifactKind] = "tokenizer"
    inputs: ClassVar[Mapping[str, Input]] = {}

    def outside(self, config: ModelTokenizerConfig, data: Path | None, home: Path) -> Mapping[str, str]:
        """The model's files.

        Raises:
            NotFound: there is no such file or model.
        """
        return {config.model: fingerprint(find_tokenizer(config.model, home=home))}

    def run(
        self,
        config: ModelTokenizerConfig,
        inputs: Mapping[str, Artifact],
        out: Path,
        context: StageContext,
    ) -> Mapping[str, Any]:
        """Copy or rebuild the tokenizer.

        Raises:
            NotFound: there is no such file or model.
            Unsupported: a kind of tokenizer that cannot be rebuilt.
            InvalidInput: it has no token that ends a document.
        """
        path = find_tokenizer(config.model, home=context.home)
        tokenizer = open_tokenizer(config.model, home=context.home)
        write_opened(path, tokenizer, out)
        content = hashlib.sha256((out / "tokenizer.json").read_bytes()).hexdigest()
        return {"model": config.model, "vocab_size": tokenizer.vocab_size, "sha256": content}
