"""One rank of a step of CLUE, for test_contrast.py: python clue_ranks.py FOLDER WORLD_SIZE RANK."""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from clue_logs import SMALL, small_logs

from malmoi.core.stage import SilentProgress
from malmoi.users.sequences.contrast_training import Contrast, ContrastTraining
from malmoi.users.sequences.pairs import PairSource
from malmoi.users.sequences.user_encoder import EncoderSettings, UserEncoder
from malmoi.users.sequences.vocabulary import build_table, learn_tokenizer, number_texts


def main(folder: Path, world_size: int, rank: int) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meet-{world_size}"
    dist.init_process_group("gloo", init_method=meeting, world_size=world_size, rank=rank)
    logs = small_logs(60)
    settings = EncoderSettings.model_validate(SMALL["encoder"])
    text_of, texts = number_texts(logs.items.texts)
    tokenizer = learn_tokenizer(
        texts, vocab_size=448, folder=folder / f"tokenizer-{world_size}-{rank}", seed=0,
        progress=SilentProgress(),
    )  # fmt: skip
    torch.manual_seed(0)
    contrast = Contrast(UserEncoder(settings, tokenizer.vocab_size))
    source = PairSource(logs, text_of, batch_size=8, history_length=8, kind="services", seed=0)
    table = build_table(tokenizer, texts, longest=settings.item_length)
    training = ContrastTraining(contrast, table, source, chunk=None)
    figures = training.gradients(training.parts(1))
    if rank == 0:
        gradients = {name: p.grad.flatten()[:50].tolist() for name, p in contrast.named_parameters()}
        (folder / f"{world_size}.json").write_text(
            json.dumps({"loss": figures["loss"], "gradients": gradients})
        )
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
