"""Pretraining, from token files to a model folder.

Everything that the model depends on is a function of the settings, the inputs and the seed: an interrupted
run that goes on from its checkpoint, on the same machine with the same number of threads, writes the same
bytes as one that was not interrupted. Times, speeds and energy are under `about/`.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from malmoi.core.files import write_json, write_text
from malmoi.core.stage import StageContext
from malmoi.core.store import Artifact
from malmoi.factory.corpus.tokens import TokenMixture, TokenSet, load_tokens
from malmoi.factory.models.build import save_model
from malmoi.factory.models.flops import count_parameters, flops_per_token
from malmoi.factory.tokenizer.tokenizer import Tokenizer
from malmoi.factory.train.batch import Batch
from malmoi.factory.train.checkpoint import Checkpoints
from malmoi.factory.train.distributed import (
    Ranks,
    agree,
    broadcast_number,
    shard,
    slice_of,
    whole_model,
)
from malmoi.factory.train.energy import EnergyMeter
from malmoi.factory.train.evaluate import bits_per_byte, figures
from malmoi.factory.train.extension import Phase, enter_phase, phase_at
from malmoi.factory.train.loop import Hooks, LoopSettings, LoopState, Meter, fit
from malmoi.factory.train.loss import language_model_loss
from malmoi.factory.train.optim import build_optimizer
from malmoi.factory.train.page import RunFacts, render_run_page
from malmoi.factory.train.peak import measured_peak
from malmoi.factory.train.precision import Precision, choose_precision
from malmoi.factory.train.samples import render_samples, write_samples
from malmoi.factory.train.settings import PretrainSettings
from malmoi.factory.train.start import Plan, open_model, plan_run


class Pretraining:
    """One run; holds what its parts share."""

    def __init__(
        self,
        settings: PretrainSettings,
        inputs: Mapping[str, Artifact],
        context: StageContext,
        ranks: Ranks,
    ) -> None:
        self.settings = settings
        self.context = context
        self.ranks = ranks
        self.tokens: TokenSet = load_tokens(inputs["tokens"].path)
        given = inputs.get("model")
        self.model: Any = open_model(
            settings,
            self.tokens,
            given.path if given else None,
            seed=context.seed,
            home=context.home,
        )
        self.built = given is None and settings.init is None
        self.plan: Plan = plan_run(settings, self.model, self.tokens, built=self.built)
        for phase in self.plan.phases:
            slice_of(range(phase.num_sequences), ranks)  # refuses before an hour is spent
        self.phase: Phase | None = None
        self.precision = Precision(self._decide_precision(), ranks.device)
        self.identity = {
            "settings": settings.result_settings(),
            "inputs": {role: artifact.digest for role, artifact in inputs.items()},
            "seed": context.seed,
        }

    def run(self, out: Path) -> dict[str, Any]:
        """Train to the end and fill `out`."""
        settings, ranks, context = self.settings, self.ranks, self.context
        self.model.to(ranks.device)
        shard(self.model, self.model.base_model.layers, ranks)
        rates: Any = self.plan.dial
        optimizer = build_optimizer(self.model, settings.optim, rates, precision=self.precision.name)
        energy = EnergyMeter(settings.energy)
        began = time.monotonic()
        state = fit(
            self.model,
            _MixtureBatches(settings, self.tokens, self.plan, context.seed, ranks),
            partial(language_model_loss, z_loss=settings.z_loss),
            self._loop_settings(),
            context,
            optimizer=optimizer,
            ranks=ranks,
            checkpoints=Checkpoints(
                context.work / "checkpoints",
                self.identity,
                keep=settings.keep,
                ranks=ranks,
                note=context.progress.note,
            ),
            hooks=Hooks(
                before_step=self._enter,
                evaluate=lambda step: figures(self._evaluate()),
                sample=lambda step: self._sample(self.model),
            ),
            meter=self._meter(energy),
        )
        self._enter(state.step)
        results = {name: result.value for name, result in self._evaluate().items()}
        whole = whole_model(self.model, ranks)
        if ranks.first:
            context.metrics.log(state.step, bits_per_byte=results)
            if settings.prompts:
                context.metrics.log(state.step, sample=self._sample(whole))
            self._write(whole, out, state, results)
            self._write_about(whole, out, time.monotonic() - began, energy)
        agree(True, ranks)  # nobody leaves before the files are there
        return {
            "parameters": count_parameters(self.model.config).total,
            "tokens": state.tokens,
            "steps": state.step,
            "bits_per_byte": results.get("all"),
        }

    def _enter(self, step: int) -> Phase:
        """Bring the model into the phase of `step`, and say which that is."""
        phase = phase_at(self.plan.phases, step)
        if phase is not self.phase:
            enter_phase(self.model, phase)
            self.phase = phase
        return phase

    def _loop_settings(self) -> LoopSettings:
        settings = self.settings
        return LoopSettings(
            num_steps=self.plan.num_steps,
            max_norm=settings.optim.max_norm,
            schedule=settings.schedule,
            precision=self.precision.name,
            quick_blocks=settings.quick_blocks,
            checkpoint_activations=settings.checkpoint_activations,
            compile=settings.compile,
            evaluate_every=settings.evaluate_every,
            sample_every=settings.sample_every if settings.prompts else None,
            save_every=settings.save_every,
            skip_bad_steps=settings.skip_bad_steps,
        )

    def _decide_precision(self) -> Literal["fp32", "bf16"]:
        """Choose once for the whole run, wherever it goes on."""
        path = self.context.work / "precision.json"
        chosen = choose_precision(self.settings.precision, self.ranks.device)
        if self.ranks.first:
            if path.is_file():
                chosen = json.loads(path.read_text(encoding="utf-8"))["precision"]
            else:
                write_json(path, {"precision": chosen})
        return "bf16" if broadcast_number(int(chosen == "bf16"), self.ranks) else "fp32"

    def _meter(self, energy: EnergyMeter) -> Meter:
        dtype = torch.bfloat16 if self.precision.name == "bf16" else torch.float32
        config = self.model.config
        lengths = self.plan.phases
        return Meter(
            flops_per_token=lambda step: flops_per_token(config, phase_at(lengths, step).context_length),
            peak_flops=measured_peak(dtype, str(self.ranks.device)),
            joules=energy.joules,
        )

    def _evaluate(self) -> dict[str, Any]:
        """Bits per byte of the held-out text by slice; empty where nothing is held out."""
        context_length = (self.phase or self.plan.phases[-1]).context_length
        with self.precision.forward():
            return bits_per_byte(
                self.model,
                self.tokens,
                context_length=context_length,
                max_bytes=self.settings.evaluate_bytes,
                batch_size=max(1, self.settings.micro_batch_tokens // context_length),
                document_mask=self.settings.document_mask,
                ranks=self.ranks,
            )

    def _sample(self, model: Any) -> str:
        tokenizer = Tokenizer.load(self.tokens.tokenizer_folder)
        prompts, length = self.settings.prompts, self.settings.sample_tokens
        return render_samples(write_samples(model, tokenizer, prompts, max_tokens=length))

    def _write(self, model: Any, out: Path, state: LoopState, results: Mapping[str, float]) -> None:
        folder = self.tokens.tokenizer_folder
        save_model(model, folder if folder.is_dir() else None, out)
        parameters = count_parameters(model.config)
        write_json(
            out / "training.json",
            {
                **asdict(state),
                "bits_per_byte": results,
                "parameters": asdict(parameters),
                "batch_tokens": self.plan.batch_tokens,
                "phases": [asdict(phase) for phase in self.plan.phases],
                "precision": self.precision.name,
                "seed": self.context.seed,
                "settings": self.settings.result_settings(),
                "dial": self.plan.dial.model_dump() if self.plan.dial else None,
            },
        )

    def _write_about(self, model: Any, out: Path, seconds: float, energy: EnergyMeter) -> None:
        rows = [row for row in self.context.metrics.read() if "seconds" in row]
        about = out / "about"
        about.mkdir(exist_ok=True)
        write_json(
            about / "cost.json",
            {
                "seconds_in_steps": sum(row["seconds"] for row in rows),
                "seconds_of_last_start": seconds,
                "joules": sum(row.get("joules", 0.0) for row in rows),
                "joules_basis": energy.basis,
                "threads": torch.get_num_threads(),
                "ranks": self.ranks.world_size,
                "torch": torch.__version__,
            },
        )
        page = render_run_page(
            self.context.metrics.read(),
            RunFacts(
                name=self.context.name,
                settings=self.settings.model_dump(mode="json"),
                figures={
                    "Parameters": count_parameters(model.config).total,
                    "Steps": self.plan.num_steps,
                    "Tokens a step": self.plan.batch_tokens,
                    "Precision": self.precision.name,
                    "Ranks": self.ranks.world_size,
                },
                energy=self.settings.energy,
                energy_basis=energy.basis,
            ),
        )
        write_text(about / "run.html", page)


class _MixtureBatches:
    """This rank's micro-batches of a step, from the mixture of its phase."""

    def __init__(
        self, settings: PretrainSettings, tokens: TokenSet, plan: Plan, seed: int, ranks: Ranks
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._ranks = ranks
        self._mixtures = {
            phase.context_length: TokenMixture(
                tokens,
                context_length=phase.context_length,
                seed=seed,
                weights=settings.weights,
                fim=settings.fim,
                document_mask=settings.document_mask,
            )
            for phase in plan.phases
        }

    def step(self, number: int) -> list[Batch]:
        """The micro-batches of step `number`."""
        phase = phase_at(self._plan.phases, number)
        mine = slice_of(phase.sequences(number), self._ranks)
        size = max(1, self._settings.micro_batch_tokens // phase.context_length)
        mixture = self._mixtures[phase.context_length]
        return [mixture.batch(mine[start : start + size]) for start in range(0, len(mine), size)]
