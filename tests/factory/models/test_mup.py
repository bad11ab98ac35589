"""muP: groups, the coordinate check, and rates that carry over from narrow to wide models."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from small_models import small_model  # noqa: E402

from malmoi.factory.models.build import build_model  # noqa: E402
from malmoi.factory.models.mup import parameter_groups  # noqa: E402
from malmoi.factory.models.settings import ModelSettings, model_config  # noqa: E402
from malmoi.factory.models.transfer import TransferRow, TransferTable, mup_transfer, synthetic_tokens  # noqa: E402
from malmoi.factory.train.optim import build_optimizer  # noqa: E402
from malmoi.factory.train.settings import OptimSettings  # noqa: E402

WIDTHS = (64, 128, 256, 512)
VOCABULARY = 64


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def model_of_width(width: int, *, layers: int = 2, **settings: object) -> object:
    found = ModelSettings.model_validate(
        {"depth": None, "hidden_size": width, "num_hidden_layers": layers,
         "num_attention_heads": width // 16, **settings}
    )  # fmt: skip
    return build_model(model_config(found, vocab_size=VOCABULARY, context_length=32, eot_id=0), seed=0)


@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_is_in_one_group(tied: bool) -> None:
    model = small_model(tie_word_embeddings=tied, num_hidden_layers=16)
    groups = {group.role: group for group in parameter_groups(model)}
    names = [name for group in groups.values() for name in group.names]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    assert groups["embedding"].names == ["model.embed_tokens.weight"]
    assert groups.get("head") is None if tied else groups["head"].names == ["lm_head.weight"]
    assert {name.rpartition("_")[2] for name in groups["hidden"].names} == {"proj.weight"}
    # Width 64 on a base of 256, 16 layers on a base of 4.
    assert groups["hidden"].lr_scale == pytest.approx(4 * 0.5)
    assert groups["hidden"].muon_lr_scale == 0.5
    assert groups["embedding"].lr_scale == groups["norm"].lr_scale == 1.0
    assert [role for role, group in groups.items() if group.weight_decay] == ["hidden"]


def test_frozen_parameters_are_left_out_and_other_models_have_no_factors() -> None:
    model = small_model(architecture="llama")
    model.model.embed_tokens.weight.requires_grad_(False)
    groups = parameter_groups(model)
    assert [group.role for group in groups] == ["hidden", "norm"]
    assert all(group.lr_scale == group.muon_lr_scale == 1.0 for group in groups)


def scales(width: int, optimizer: str, mup: bool) -> dict[str, float]:
    """How far activations have moved after five steps, as root mean squares."""
    model = model_of_width(width, mup=mup)
    built = build_optimizer(
        model,
        OptimSettings.model_validate(
            {"optimizer": optimizer, "learning_rate": 0.006, "muon_learning_rate": 0.02, "weight_decay": 0.0}
        ),
    )
    text = torch.from_numpy(synthetic_tokens(8 * 33, 0)).view(8, 33)
    ids, labels = text[:, :-1], text[:, 1:]
    before = observe(model, ids)
    for _ in range(5):
        loss = torch.nn.functional.cross_entropy(model(ids).logits.flatten(0, 1), labels.flatten())
        loss.backward()
        built.step()
        built.zero_grad()
    after = observe(model, ids)
    return {name: float((after[name] - before[name]).square().mean().sqrt()) for name in after}


def observe(model: object, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        output = model(ids, output_hidden_states=True)
    states = {f"state {number}": state for number, state in enumerate(output.hidden_states)}
    return {**states, "logits": output.logits}


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_coordinate_check(optimizer: str) -> None:
    """Under muP, a step moves states and logits as much at width 512 as at 64 (Yang et al. 2022, D.1)."""
    found = [scales(width, optimizer, mup=True) for width in WIDTHS]
    for name in found[0]:
        moved = [moves[name] for moves in found]
        slope = np.polyfit(np.log(WIDTHS), np.log(moved), 1)[0]
        assert abs(slope) < 0.25, (name, moved)


def test_the_coordinate_check_can_fail() -> None:
    """Without muP, AdamW moves the logits more the wider the model is."""
    moved = [scales(width, "adamw", mup=False)["logits"] for width in WIDTHS]
    assert np.polyfit(np.log(WIDTHS), np.log(moved), 1)[0] > 0.4, moved


def test_first_logits_do_not_grow_with_the_width() -> None:
    ids = torch.arange(60).view(2, 30)
    spread = []
    for width in WIDTHS:
        with torch.no_grad():
            spread.append(float(model_of_width(width)(ids).logits.std()))
    assert max(spread) / min(spread) < 2.5


def depth_profile(model: object, ids: torch.Tensor) -> list[float]:
    """Root mean square of the residual stream after each layer."""
    found: list[float] = []

    def keep(_: object, __: object, output: torch.Tensor) -> None:
        found.append(float(output.square().mean().sqrt()))

    hooks = [layer.register_forward_hook(keep) for layer in model.model.layers]
    with torch.no_grad():
        model(ids)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_peri_ln_keeps_activations_bounded_over_depth() -> None:
    """At initialisation and after 200 steps, no layer's output is far above that of the first."""
    model = model_of_width(64, layers=12)
    text = torch.from_numpy(synthetic_tokens(200 * 4 * 17, 0)).view(200, 4, 17)
    built = build_optimizer(
        model, OptimSettings(learning_rate=0.006, muon_learning_rate=0.02, weight_decay=0.0)
    )
    at_first = depth_profile(model, text[0, :, :-1])
    for step in range(200):
        logits = model(text[step, :, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), text[step, :, 1:].flatten())
        loss.backward()
        built.step()
        built.zero_grad()
    trained = depth_profile(model, text[0, :, :-1])
    assert float(loss.detach()) < 3.9  # ln 64 is 4.16: it has learned
    # Two branches a layer, each of mean square r^2 = 4 / 12, on a state of mean square 1.
    assert at_first == pytest.approx([(1 + 2 * n / 3) ** 0.5 for n in range(1, 13)], rel=0.15)
    assert max(trained) < 12.0, trained
    assert max(trained) / min(trained) < 4.0, trained


def test_synthetic_text_is_deterministic_and_predictable() -> None:
    text = synthetic_tokens(5000, 3)
    assert np.array_equal(text, synthetic_tokens(5000, 3))
    assert not np.array_equal(text, synthetic_tokens(5000, 4))
    assert (text.min() >= 0, text.max() < VOCABULARY) == (True, True)
    pairs: dict[tuple[int, int], set[int]] = {}
    for first, second, third in zip(text, text[1:], text[2:], strict=False):
        pairs.setdefault((int(second), int(first) % 4), set()).add(int(third))
    assert np.mean([len(found) for found in pairs.values()]) < 8  # of 64


def test_a_small_transfer_experiment() -> None:
    seen: list[TransferRow] = []
    table = mup_transfer([32, 48], [0.0001, 0.004], 20, 0, base_width=32, on_row=seen.append)
    assert list(table.rows) == seen
    assert [(row.width, row.rate) for row in seen] == [(32, 0.0001), (32, 0.004), (48, 0.0001), (48, 0.004)]
    assert table.best(32) == table.best(48) == 0.004
    assert "*" in table.text()
    again = mup_transfer([32], [0.004], 20, 0, base_width=32)
    assert again.rows[0] == seen[1]
    assert mup_transfer([32], [0.004], 20, 0, base_width=32, optimizer="muon").rows[0] != seen[1]
    with pytest.raises(ValueError, match="multiples of 16"):
        mup_transfer([40], [0.1], 1, 0)
    with pytest.raises(ValueError, match="10 tokens are too few"):
        mup_transfer([32], [0.1], 1, 0, tokens=np.zeros(10, dtype=np.int64))


def test_the_best_rate_lies_between_grid_points() -> None:
    rows = tuple(
        TransferRow(64, rate, 2 + float(np.log(rate / 0.003)) ** 2) for rate in (0.001, 0.002, 0.004, 0.008)
    )
    wide = tuple(TransferRow(128, row.rate * 2, row.loss) for row in rows)
    table = TransferTable(rows + wide)
    assert table.best(64) == 0.004
    assert table.best_between(64) == pytest.approx(0.003)
    assert table.shift(64, 128) == pytest.approx(2.0)
    edge = TransferTable((TransferRow(64, 0.1, 1.0), TransferRow(64, 0.2, float("inf"))))
    assert edge.best_between(64) == 0.1
