"""`malmoi plan`: what a training will take, before it is started."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from malmoi.core.errors import InvalidInput

if TYPE_CHECKING:
    from malmoi.factory.plan.shape import ModelShape

VOCABULARY = 100_000


@click.command()
@click.option("--params", metavar="NUMBER", help="Parameters, such as 7b; the nearest depth is planned.")
@click.option("--depth", type=click.IntRange(1, 256), help="The one dial of the model, instead of --params.")
@click.option("--recipe", help="A recipe whose pretraining is planned, instead of --params.")
@click.option("--tokens", metavar="NUMBER", help="Training tokens, such as 1T.  [default: by the dial]")
@click.option("--gpu", required=True, metavar="NAME", help="Kind of device: a100, h100, ...")
@click.option("--count", type=int, help="How many devices.  [default: 1]")
@click.option("--compare", metavar="COUNTS", help="Compare several numbers of devices, such as 8,16,64.")
@click.option("--mfu", default=0.4, show_default=True, type=float, help="Share of the peak that is reached.")
@click.option("--context", metavar="NUMBER", help="Tokens of a sequence.  [default: 4096]")
@click.option("--batch-tokens", metavar="NUMBER", help="Tokens of a step.  [default: by the dial]")
@click.option("--vocab-size", metavar="NUMBER", help=f"Tokens of the vocabulary.  [default: {VOCABULARY}]")
@click.option("--untied", is_flag=True, help="An output head of its own beside the embedding.")
@click.option("--optimizer", type=click.Choice(["muon", "adamw"]), help="[default: muon]")
@click.option("--price-per-hour", type=click.FloatRange(min=0), help="Of one device, in your currency.")
@click.option("--peak-tflops", type=click.FloatRange(min=0, min_open=True), help="Dense BF16 peak.")
@click.option("--watts", type=click.FloatRange(min=0, min_open=True), help="Power of a device.")
@click.option("--pue", default=1.0, show_default=True, type=click.FloatRange(min=1), help="Of the site.")
@click.option(
    "--network-gbs", type=click.FloatRange(min=0, min_open=True), help="GB/s a device, between nodes."
)
@click.option("--disk-gbs", type=click.FloatRange(min=0, min_open=True), help="GB/s of the shared disk.")
@click.option("--bytes-per-token", type=click.FloatRange(min=0, min_open=True), help="Of your tokenizer.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def plan(
    params: str | None,
    depth: int | None,
    recipe: str | None,
    tokens: str | None,
    gpu: str,
    count: int | None,
    compare: str | None,
    mfu: float,
    context: str | None,
    batch_tokens: str | None,
    vocab_size: str | None,
    untied: bool,
    optimizer: str | None,
    price_per_hour: float | None,
    peak_tflops: float | None,
    watts: float | None,
    pue: float,
    network_gbs: float | None,
    disk_gbs: float | None,
    bytes_per_token: float | None,
    as_json: bool,
) -> None:
    """Plan a training: time, memory, layout, energy and cost, and what they rest on.

    Name the model by --params, --depth or --recipe. Figures that are not known are inputs, never guessed.
    """
    from malmoi.factory.models.dial import dial
    from malmoi.factory.plan import plan as planning
    from malmoi.factory.plan import render
    from malmoi.factory.plan.hardware import find_device
    from malmoi.factory.plan.quantities import parse_count

    device = find_device(gpu)
    if peak_tflops is not None:
        device = device.model_copy(update={"bf16_flops": peak_tflops * 1e12, "source": "an input"})
    if not 0 < mfu <= 1:
        raise InvalidInput(
            f"--mfu {mfu:g} is not a share between 0 and 1.", field="mfu", fix="40 % is written --mfu 0.4."
        )
    shape, found, model_depth = _shape(params, depth, recipe, vocab_size, untied)
    length = parse_count(context, "context") if context else found.get("context_length", 4096)
    horizon = parse_count(tokens, "tokens") if tokens else found.get("tokens")
    dialled = dial(model_depth, vocab_size=shape.vocab_size, context_length=length, horizon_tokens=horizon)
    batch = parse_count(batch_tokens, "batch-tokens") if batch_tokens else found.get("batch_tokens")
    plans = [
        planning.build_plan(
            planning.PlanInputs(
                shape=shape,
                device=device,
                count=number,
                tokens=horizon or dialled.horizon_tokens,
                batch_tokens=batch or dialled.batch_tokens,
                context_length=length,
                **found.get("extension", {}),
                optimizer=optimizer or found.get("optimizer", "muon"),
                mfu=mfu,
                price_per_hour=price_per_hour,
                watts=watts,
                pue=pue,
                network_gbs=network_gbs,
                disk_gbs=disk_gbs,
                bytes_per_token=bytes_per_token,
            )
        )
        for number in _counts(count, compare)
    ]
    if as_json:
        values = [planning.as_json(made) for made in plans]
        click.echo(json.dumps(values if compare else values[0], ensure_ascii=False, indent=2))
    else:
        click.echo(render.render_comparison(plans) if compare else render.render_plan(plans[0]), nl=False)


def _counts(count: int | None, compare: str | None) -> list[int]:
    """The numbers of devices to plan for."""
    from malmoi.factory.plan.quantities import parse_count

    if compare and count is not None:
        raise InvalidInput("give --count or --compare, not both.", field="compare")
    if compare:
        return [parse_count(part, "compare") for part in compare.split(",")]
    if count is not None and count < 1:
        raise InvalidInput(
            f"--count {count} devices cannot train anything.", field="count", fix="Give at least one."
        )
    return [count or 1]


def _shape(
    params: str | None, depth: int | None, recipe: str | None, vocab_size: str | None, untied: bool
) -> "tuple[ModelShape, dict[str, Any], int]":
    """The model's sizes, what a recipe says of its training, and the depth that the dial is asked for."""
    from malmoi.factory.plan.quantities import parse_count
    from malmoi.factory.plan.shape import (
        model_settings,
        recipe_settings,
        shape_of_parameters,
        shape_of_settings,
    )

    if sum(choice is not None for choice in (params, depth, recipe)) != 1:
        raise InvalidInput(
            "the model is not named.",
            field="params",
            fix="Give one of --params 7b, --depth 24 and --recipe FILE.",
        )
    size = parse_count(vocab_size, "vocab-size") if vocab_size else None
    if params is not None:
        number, shape = shape_of_parameters(
            parse_count(params, "params"), size or VOCABULARY, tied=not untied
        )
        return shape, {}, number
    if depth is not None:
        settings = model_settings({"depth": depth, "tie_word_embeddings": not untied})
        return shape_of_settings(settings, size or VOCABULARY), {}, depth
    from malmoi.cli.run import find_recipe
    from malmoi.core.recipe import read_recipe

    file: Path = find_recipe(str(recipe))
    settings, from_recipe, pretrain = recipe_settings(dict(read_recipe(file).values), str(file))
    shape = shape_of_settings(settings, size or from_recipe or VOCABULARY)
    return shape, _training(pretrain), settings.depth or shape.num_hidden_layers


def _training(pretrain: dict[str, Any]) -> dict[str, Any]:
    """Context, batch, tokens and optimizer of a pretraining table, where it says them."""
    optim = pretrain.get("optim", {})
    found = {
        "context_length": pretrain.get("context_length"),
        "batch_tokens": pretrain.get("batch_tokens"),
        "tokens": _horizon(pretrain),
        "extension": _extension(pretrain.get("extension")),
        "optimizer": optim.get("optimizer") if isinstance(optim, dict) else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _horizon(pretrain: dict[str, Any]) -> int | None:
    """Training tokens, where the table says them."""
    if pretrain.get("num_tokens") is not None:
        return int(pretrain["num_tokens"])
    steps, batch = pretrain.get("num_steps"), pretrain.get("batch_tokens")
    return int(steps) * int(batch) if steps and batch else None


def _extension(table: Any) -> dict[str, Any] | None:
    """The last part at a longer context, as the plan takes it."""
    if not isinstance(table, dict) or "context_length" not in table:
        return None
    return {"long_context_length": table["context_length"], "long_share": table.get("share", 0.1)}
