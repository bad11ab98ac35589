"""Node models: equations, losses, learning, hop sampling, early stopping."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_graphs import communities

from malmoi.core.errors import Conflict, InvalidInput, MalmoiError, UnknownName
from malmoi.users.graphs.gesm import GESM, GESMSettings
from malmoi.users.graphs.gsm import GSM, GSMSettings, StepMixture
from malmoi.users.graphs.hops import HopSampler
from malmoi.users.graphs.kinds import KINDS, NodeSettings, build_node_models
from malmoi.users.graphs.propagation import Propagation, PropagationSettings
from malmoi.users.graphs.training import structure_loss, train_nodes
from malmoi.users.graphs.walk import random_walk

torch.set_num_threads(1)

QUICK = {"num_epochs": 40, "patience": 40, "learning_rate": 0.03, "l2": 1e-4}
SMALL: dict[str, dict[str, Any]] = {
    "gsm": {**QUICK, "hidden": 16, "depth": 3},
    "gesm": {**QUICK, "heads": 2, "head_width": 8, "depth": 3},
    "propagate": {**QUICK, "hidden": 16},
}


def small(kind: str, **changed: Any) -> NodeSettings:
    return build_node_models().get(kind).settings_type.model_validate(SMALL[kind] | changed)


def test_step_mixture_is_the_formula_with_and_without_dropout() -> None:
    graph = communities(nodes=30)
    torch.manual_seed(0)
    walk = random_walk(graph.edges, 30)
    mixture = StepMixture(walk, 5, 3, HopSampler(4), dropout=0.0)
    hidden = torch.randn(30, 5)
    p, blocks = walk.dense(), [hidden]
    for _ in range(4):
        blocks.append(p @ blocks[-1])
    expected = torch.cat(blocks, 1) @ mixture.weight.T + mixture.bias
    rows = torch.tensor([3, 17])
    assert torch.allclose(mixture.train()(hidden, rows), expected[rows], atol=1e-5)
    assert torch.allclose(mixture.eval()(hidden, None), expected, atol=1e-5)
    assert torch.allclose(mixture(hidden, rows), expected[rows], atol=1e-5)


def test_sampled_blocks_are_zero_beyond_k_and_rescaled(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = communities(nodes=30)
    torch.manual_seed(0)
    walk = random_walk(graph.edges, 30)
    mixture = StepMixture(walk, 5, 3, HopSampler(4, "sampled"), dropout=0.0).train()
    monkeypatch.setattr(HopSampler, "__call__", lambda self, training: 1)
    hidden, rows = torch.randn(30, 5), torch.arange(30)
    kept = torch.cat([hidden, walk.dense() @ hidden], 1) @ mixture.weight[:, :10].T
    assert torch.allclose(mixture(hidden, rows), kept * (5 / 2) + mixture.bias, atol=1e-5)


def test_hop_sampler_draws_all_depths_alike_and_only_in_training() -> None:
    sampler = HopSampler(4, "sampled")
    torch.manual_seed(0)
    counts = np.bincount([sampler(training=True) for _ in range(2000)], minlength=5)
    assert counts[0] == 0
    assert (abs(counts[1:] - 500) < 80).all()  # four standard deviations of a binomial
    assert {sampler(training=False) for _ in range(50)} == {4}
    assert {HopSampler(4)(training=True) for _ in range(50)} == {4}
    with pytest.raises(InvalidInput, match="depth of 0"):
        HopSampler(0)


def test_gsm_and_gesm_without_attention_and_residual_share_their_walk() -> None:
    graph = communities(nodes=30)
    torch.manual_seed(0)
    model = GESM(GESMSettings(heads=2, head_width=3, depth=2), graph).eval()
    with torch.no_grad():
        scored = model(None)
        z = torch.from_numpy(graph.features.normalized().dense()) @ model.entry
        parts = z.view(30, 2, 3)
        left = (parts * model.left).sum(2) + model.left_bias
        right = (parts * model.right).sum(2) + model.right_bias
        p = model.walk.dense()
        heads = []
        for head in range(2):
            e = left[:, head, None] * right[None, :, head] * p
            heads.append(e.masked_fill(p == 0, -torch.inf).softmax(1) @ parts[:, head])
        h = torch.nn.functional.elu(torch.cat(heads, 1) + model.offset + z)
        expected = torch.cat([h, p @ h, p @ p @ h], 1) @ model.mixture.weight.T + model.mixture.bias
    assert torch.allclose(scored.hidden, z, atol=1e-6)
    assert torch.allclose(scored.logits, expected, atol=1e-5)


def test_penalised_weights_are_all_but_biases() -> None:
    graph = communities(nodes=30)
    gesm = GESM(GESMSettings(heads=2, head_width=3, depth=2), graph)
    named = {id(p): name for name, p in gesm.named_parameters()}
    assert {named[id(p)] for p in gesm.penalised()} == {"entry", "left", "right", "offset", "mixture.weight"}
    assert len(GSM(GSMSettings(hidden=3), graph).penalised()) == 2


def test_structure_loss_by_hand() -> None:
    hidden = torch.tensor([[2.0], [1.0]])
    edges = torch.tensor([[0], [1]])
    near = 1 / (1 + np.exp(-2.0))
    found = structure_loss(hidden, edges, share=1.0, beta=1.0, random=torch.Generator().manual_seed(0))
    assert float(found) == pytest.approx(1 - near)
    pushed = structure_loss(hidden, edges, share=1.0, beta=0.5, random=torch.Generator().manual_seed(0))
    far = {0: 1 / (1 + np.exp(-4.0)), 1: near}
    expected = {node: max(0.0, 0.5 * (1 - near) - 0.5 * (1 - value)) for node, value in far.items()}
    assert any(float(pushed) == pytest.approx(value, abs=1e-6) for value in expected.values())


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("hops", ["fixed", "sampled"])
def test_learns_communities_and_repeats_itself(kind: str, hops: str, tmp_path: Path) -> None:
    graph = communities()
    outcomes = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        trained = train_nodes(kind, small(kind, hops=hops), graph, seed=1, work=tmp_path / name)
        outcomes.append(trained.outcome.model_copy(update={"seconds": 0.0, "cpu_seconds": 0.0}))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].test_accuracy > 0.8  # guessing: 0.33
    assert 1 <= outcomes[0].best_epoch <= outcomes[0].epochs


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_killed_training_goes_on_to_the_same_result(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, settings = communities(), small(kind, num_epochs=8, hops="sampled")
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = train_nodes(kind, settings, graph, seed=0, work=tmp_path / "whole")

    class Killed(Exception):
        pass

    class Watcher:
        epochs = 0

        def advance(self, amount: float = 1.0, **shown: str | float) -> None:
            self.epochs += 1
            if self.epochs == 6:
                raise Killed

        def at(self, done: float, **shown: str | float) -> None:
            pass

    with pytest.raises(Killed):
        train_nodes(kind, settings, graph, seed=0, work=tmp_path / "killed", task=Watcher(), save_seconds=0.0)
    again = train_nodes(kind, settings, graph, seed=0, work=tmp_path / "killed")
    assert torch.equal(again.scores, whole.scores)
    assert again.outcome.best_epoch == whole.outcome.best_epoch
    with pytest.raises(Conflict, match="other settings"):
        train_nodes(kind, settings, graph, seed=1, work=tmp_path / "killed")
    (tmp_path / "killed" / "nodes.safetensors").write_bytes(b"broken")
    with pytest.raises(Conflict, match="no checkpoint"):
        train_nodes(kind, settings, graph, seed=0, work=tmp_path / "killed")


def test_patience_ends_training(tmp_path: Path) -> None:
    settings = small("propagate", num_epochs=300, patience=3, learning_rate=0.5)
    assert train_nodes("propagate", settings, communities(), seed=0, work=tmp_path).outcome.epochs < 300


def test_a_loss_that_is_not_finite_is_told(tmp_path: Path) -> None:
    settings = small("propagate", learning_rate=1e30)
    with pytest.raises(MalmoiError, match="its loss is"):
        train_nodes("propagate", settings, communities(), seed=0, work=tmp_path)


def test_propagation_teleports_as_appnp() -> None:
    graph = communities(nodes=30)
    torch.manual_seed(0)
    model = Propagation(PropagationSettings(hidden=4, depth=3, teleport=0.1), graph).eval()
    with torch.no_grad():
        first = torch.from_numpy(graph.features.normalized().dense()) @ model.entry + model.entry_bias
        first = first @ model.exit + model.exit_bias
        x, s = first, model.walk.dense()
        for _ in range(3):
            x = 0.9 * (s @ x) + 0.1 * first
        assert torch.allclose(model(None).logits, x, atol=1e-5)


def test_drawn_hops_answer_with_the_mean_over_depths_or_the_deepest() -> None:
    graph = communities(nodes=30)
    answers = {}
    for inference in ("mean", "deepest"):
        torch.manual_seed(0)
        settings = PropagationSettings(hidden=4, depth=3, hops="sampled", inference=inference)
        answers[inference] = Propagation(settings, graph).eval()(None).logits.detach()
    torch.manual_seed(0)
    fixed = [Propagation(PropagationSettings(hidden=4, depth=k), graph) for k in (1, 2, 3)]
    for model in fixed[1:]:
        model.load_state_dict(fixed[0].state_dict())
    states = [model.eval()(None).logits.detach() for model in fixed]
    assert torch.allclose(answers["deepest"], states[2], atol=1e-6)
    assert torch.allclose(answers["mean"], torch.stack(states).mean(0), atol=1e-6)


def test_unknown_kind_names_the_near_ones() -> None:
    with pytest.raises(UnknownName, match="gesm"):
        build_node_models().get("gesn")
