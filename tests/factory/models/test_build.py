"""Initialisation, saving and loading, and the longer context."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from small_models import build_tokenizer, save_small, small_model  # noqa: E402

from malmoi.core.errors import InvalidInput, ModelFileInvalid, UnknownName, Unsupported  # noqa: E402
from malmoi.factory.models.build import build_model, load_model, save_model  # noqa: E402
from malmoi.factory.models.context import extend_context  # noqa: E402
from malmoi.factory.models.export import as_llama, export_llama  # noqa: E402
from malmoi.factory.models.opening import open_any  # noqa: E402
from malmoi.factory.models.settings import ModelSettings, model_config  # noqa: E402

IDS = torch.arange(4, 104).reshape(2, 50)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def logits(model: object, ids: torch.Tensor = IDS) -> torch.Tensor:
    with torch.no_grad():
        return model(ids).logits


def difference(first: object, second: object) -> float:
    return float((logits(first) - logits(second)).abs().max())


def test_weights_are_a_function_of_the_seed_alone() -> None:
    # Matrices of more than 32,768 entries, which torch would share out among threads.
    config = model_config(ModelSettings(depth=1), vocab_size=2000, context_length=32, eot_id=0)
    torch.manual_seed(1)
    first = build_model(config, seed=7)
    torch.manual_seed(2)
    torch.set_num_threads(2)
    again = build_model(config, seed=7)
    other = build_model(config, seed=8)
    weights = first.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in again.state_dict().items())
    assert not torch.equal(
        weights["model.embed_tokens.weight"], other.state_dict()["model.embed_tokens.weight"]
    )
    assert first.config._attn_implementation == "sdpa"
    assert first.lm_head.weight is first.model.embed_tokens.weight


@pytest.mark.parametrize("architecture", ["hyperclovax", "llama"])
@pytest.mark.parametrize("tied", [True, False])
def test_a_saved_model_is_the_same_model(tmp_path: Path, architecture: str, tied: bool) -> None:
    model = save_small(tmp_path, architecture=architecture, tie_word_embeddings=tied)
    loaded = load_model(tmp_path / "model")
    assert loaded.config.model_type == architecture
    assert difference(model, loaded) <= 1e-4
    assert (loaded.lm_head.weight is loaded.model.embed_tokens.weight) is tied


def test_transformers_loads_the_folder_by_itself(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = save_small(tmp_path)
    folder = tmp_path / "model"
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    assert type(loaded).__name__ == "HyperCLOVAXForCausalLM"
    assert difference(model, loaded) <= 1e-4
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert tokenizer.decode(tokenizer("안녕하세요 the fox")["input_ids"]) == "안녕하세요 the fox"
    generation = json.loads((folder / "generation_config.json").read_text())
    assert generation["eos_token_id"] == [0, 2]  # end of text, end of turn
    assert generation["pad_token_id"] == 1
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == "hyperclovax"
    assert config["eos_token_id"] == 0


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    save_small(tmp_path / "a")
    save_small(tmp_path / "b")
    files = sorted(path.name for path in (tmp_path / "a" / "model").iterdir())
    assert "model.safetensors" in files
    for name in files:
        assert (tmp_path / "a/model" / name).read_bytes() == (tmp_path / "b/model" / name).read_bytes(), name


def test_a_folder_without_all_weights_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_small(tmp_path)
    file = tmp_path / "model" / "model.safetensors"
    weights = load_file(file)
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelFileInvalid, match=r"1 weights are missing.*up_proj"):
        load_model(tmp_path / "model")
    with pytest.raises(ModelFileInvalid, match=r"no config\.json"):
        load_model(tmp_path)


@pytest.mark.parametrize("tied", [True, False])
def test_a_folded_llama_has_the_same_logits(tmp_path: Path, tied: bool) -> None:
    from transformers import LlamaForCausalLM

    model = small_model(use_post_norm=False, tie_word_embeddings=tied, num_hidden_layers=5)
    # All four multipliers are at work.
    config = model.config
    config.attention_multiplier = 0.3
    for layer in model.model.layers:
        layer.self_attn.scaling = 0.3
    assert config.residual_multiplier != 1 != config.logits_scaling
    export_llama(model, build_tokenizer(tmp_path / "tokenizer"), tmp_path / "llama")
    llama = load_model(tmp_path / "llama")
    assert isinstance(llama, LlamaForCausalLM)
    assert float(logits(model).std()) > 1
    assert difference(model, llama) <= 1e-4
    assert json.loads((tmp_path / "llama" / "generation_config.json").read_text())["eos_token_id"] == [0, 2]


def test_what_cannot_be_a_llama_is_refused() -> None:
    with pytest.raises(Unsupported, match=r"post-norms.*use_post_norm = false"):
        as_llama(small_model())
    model = small_model(use_post_norm=False)
    model.config.rope_parameters = {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}
    with pytest.raises(Unsupported, match="'linear'"):
        as_llama(model)


def test_a_longer_context_is_that_of_a_model_built_so(tmp_path: Path) -> None:
    model = small_model()
    before = logits(model)
    extend_context(model, 512, 80_000.0)
    built = small_model(rope_theta=80_000.0)
    assert not torch.allclose(before, logits(model), atol=1e-3)
    assert difference(model, built) == 0.0
    assert model.config.max_position_embeddings == 512
    save_model(model, None, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.config.rope_parameters["rope_theta"] == 80_000.0
    assert difference(model, loaded) <= 1e-4
    extend_context(model, 1024)
    assert model.config.rope_parameters["rope_theta"] == 80_000.0
    with pytest.raises(InvalidInput, match="must be positive"):
        extend_context(model, 0)


def test_a_model_without_rotary_embedding_cannot_be_extended() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=16, n_positions=8))
    with pytest.raises(InvalidInput, match="GPT2LMHeadModel has no rotary embedding"):
        extend_context(model, 16)


def test_layers_of_two_kinds_only_full_attention_takes_the_base() -> None:
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    config = Gemma3TextConfig(
        vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, layer_types=["sliding_attention", "full_attention"],
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = Gemma3ForCausalLM(config)
    rotary = model.model.rotary_emb
    local, full = rotary.sliding_attention_inv_freq.clone(), rotary.full_attention_inv_freq.clone()
    extend_context(model, 4096, 5e6)
    assert torch.equal(rotary.sliding_attention_inv_freq, local)
    assert not torch.equal(rotary.full_attention_inv_freq, full)


def test_open_any_reads_a_folder(tmp_path: Path) -> None:
    model = save_small(tmp_path)
    found, tokenizer = open_any(str(tmp_path / "model"), tmp_path / "home")
    assert difference(model, found) <= 1e-4
    assert tokenizer == tmp_path / "model"
    assert (tokenizer / "tokenizer.json").is_file()


def test_open_any_reads_gguf(tmp_path: Path) -> None:
    from malmoi.factory.models.gguf import write_gguf

    model = save_small(tmp_path, architecture="llama")
    write_gguf(tmp_path / "model", tmp_path / "small.gguf", type="F16")
    found, tokenizer = open_any(f"path:{tmp_path / 'small.gguf'}", tmp_path / "home")
    assert difference(model, found) < 0.1  # 16 bits a weight, and logits of about 5
    assert (tokenizer / "tokenizer.json").is_file()
    again = open_any(str(tmp_path / "small.gguf"), tmp_path / "home")[1]
    assert again == tokenizer
    assert list(tokenizer.parent.iterdir()) == [tokenizer]


def test_open_any_says_what_it_cannot_find(tmp_path: Path) -> None:
    with pytest.raises(ModelFileInvalid, match="there is no file or folder"):
        open_any("path:/nowhere/model.gguf", tmp_path)
    with pytest.raises(UnknownName, match="malmoi models add smal"):
        open_any("smal", tmp_path)
