"""The pretraining stage: tokens (and, if wished, a model) in, a model out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from malmoi.core.stage import Input, Stage, StageContext, fingerprint
from malmoi.core.store import Artifact
from malmoi.factory.models.opening import find_model
from malmoi.factory.train.settings import PretrainSettings


class PretrainStage(Stage[PretrainSettings]):
    """Trains a language model on token files."""

    config: ClassVar[type[PretrainSettings]] = PretrainSettings
    kind: ClassVar[Literal["model"]] = "model"
    inputs: ClassVar[Mapping[str, Input]] = {
        "tokens": Input(("tokens",)),
        "model": Input(("model",), optional=True),
    }
    distributed: ClassVar[bool] = True

    def outside(self, config: PretrainSettings, data: Path | None, home: Path) -> Mapping[str, str]:
        """The files of the model that training goes on from.

        Raises:
            MalmoiError: there is no such model.
        """
        return {} if config.init is None else {"init": fingerprint(find_model(config.init, home))}

    def run(
        self, config: PretrainSettings, inputs: Mapping[str, Artifact], out: Path, context: StageContext
    ) -> Mapping[str, Any]:
        """Train, evaluate, and write the model.

        Raises:
            MalmoiError: the settings do not fit the tokens, the model or the ranks; or a step's loss is not
                finite.
        """
        # Here, as a recipe is checked and planned without torch.
        from malmoi.factory.train.distributed import open_ranks
        from malmoi.factory.train.pretraining import Pretraining

        with open_ranks(context.rank, context.world_size) as ranks:
            return Pretraining(config, inputs, context, ranks).run(out)
