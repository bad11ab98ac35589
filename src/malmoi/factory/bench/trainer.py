"""transformers' Trainer as its users would set it up on a processor, nothing but training in its loop."""

import time
from dataclasses import dataclass
from importlib.metadata import version
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from malmoi.factory.bench.speed import Setup


@dataclass(frozen=True, slots=True)
class Way:
    """How Trainer takes a step: sequences at a time, and which of torch's AdamWs."""

    rows: int
    optim: Literal["adamw_torch_fused", "adamw_torch"]

    def __str__(self) -> str:
        return f"{self.rows} at a time, {self.optim}"


def best_ways(rows_per_step: int) -> list[Way]:
    """All ways to cut a step into equal parts by halving, with the AdamW that is Trainer's default."""
    ways = []
    rows = rows_per_step
    while True:
        ways.append(Way(rows, "adamw_torch_fused"))
        if rows == 1 or rows % 2:
            return ways
        rows //= 2


def trainer_name() -> str:
    """Trainer with its versions."""
    return f"Trainer of transformers {version('transformers')} (accelerate {version('accelerate')})"


def time_trainer(setup: "Setup", precision: Literal["fp32", "bf16"], way: Way) -> float:
    """Tokens a second of Trainer."""
    from transformers import Trainer, TrainerCallback, TrainingArguments, default_data_collator

    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

    # The model shifts the labels itself.
    data = [{"input_ids": row, "labels": row} for row in setup.sequences()]
    with TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            use_cpu=True,
            bf16=precision == "bf16",
            per_device_train_batch_size=way.rows,
            gradient_accumulation_steps=setup.rows_per_step // way.rows,
            max_steps=setup.total_steps,
            optim=way.optim,
            learning_rate=1e-3,
            weight_decay=0.1,
            adam_beta2=0.95,
            max_grad_norm=1.0,
            lr_scheduler_type="constant",
            logging_strategy="no",
            logging_nan_inf_filter=False,
            save_strategy="no",
            eval_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_num_workers=0,
            dataloader_pin_memory=False,
            seed=1,
        )
        trainer = Trainer(
            model=setup.new_model(),
            args=arguments,
            train_dataset=data,
            data_collator=default_data_collator,
            callbacks=[Clock()],
        )
        for callback in list(trainer.callback_handler.callbacks):
            if type(callback).__name__ in ("PrinterCallback", "ProgressCallback"):
                trainer.remove_callback(callback)
        trainer.train()
    return setup.rate(ends)
