import os
from pathlib import Path

import pytest
from tokenizer_samples import ParticleAnalyzer, documents, trained

from malmoi.core.errors import InvalidInput, MalmoiError, NotFound
from malmoi.factory.tokenizer.dropout import DropoutEncoder
from malmoi.factory.tokenizer.opening import open_tokenizer, read_gguf_tokenizer
from malmoi.factory.tokenizer.tokenizer import Tokenizer, byte_of_character
from malmoi.factory.tokenizer.writing import write_tokenizer

TYPE_NORMAL, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER, TYPE_BYTE = 1, 2, 3, 4, 6


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ours")
    write_tokenizer(trained(tmp_path_factory.mktemp("work"), ParticleAnalyzer()).backend, out)
    return out


def write_gguf(path: Path, model: str, tokens: list[str], types: list[int], **more: object) -> None:
    """A GGUF file that holds a vocabulary and one small tensor."""
    import numpy as np
    from gguf import GGUFWriter

    writer = GGUFWriter(str(path), "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(8)
    writer.add_block_count(1)
    writer.add_feed_forward_length(8)
    writer.add_head_count(1)
    writer.add_tokenizer_model(model)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_eos_token_id(0)
    if "pre" in more:
        writer.add_tokenizer_pre(more["pre"])
    if "merges" in more:
        writer.add_token_merges(more["merges"])
    if "scores" in more:
        writer.add_token_scores(more["scores"])
        writer.add_add_space_prefix(False)
    writer.add_tensor("token_embd.weight", np.zeros((len(tokens), 8), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_merges_in_gguf_cut_like_the_folder(ours: Path, tmp_path: Path) -> None:
    from malmoi.factory.tokenizer.train import read_merges

    folder = Tokenizer.load(ours)
    tokens = [folder.backend.id_to_token(number) for number in range(folder.vocab_size)]
    types = [TYPE_CONTROL if number < 128 else TYPE_NORMAL for number in range(len(tokens))]
    merges = [" ".join(pair) for pair in read_merges(folder.backend)]
    write_gguf(tmp_path / "m.gguf", "gpt2", tokens, types, pre="qwen2", merges=merges)
    found = open_tokenizer(str(tmp_path / "m.gguf"), home=tmp_path)
    assert found.vocab_size == folder.vocab_size
    assert found.eot_id == 0
    for document in documents(6):
        assert found.encode(document.text) == folder.encode(document.text)
    assert found.encode("<|im_end|>") == folder.encode("<|im_end|>")


def test_scores_in_gguf_join_the_best_neighbours_first(tmp_path: Path) -> None:
    texts = ["<unk>", "<eos>", "a", "b", "c", "ab", "bc", "abc", "▁", "▁a", "학", "[user]"]
    scores = [0.0, 0.0, -20, -20, -20, -5, -2, -3, -20, -9, -20, 0]
    types = [TYPE_UNKNOWN, TYPE_CONTROL, *[TYPE_NORMAL] * 9, TYPE_USER]
    texts += [f"<0x{byte:02X}>" for byte in range(256)]
    scores += [0.0] * 256
    types += [TYPE_BYTE] * 256
    write_gguf(tmp_path / "s.gguf", "llama", texts, types, scores=[float(score) for score in scores])
    found = read_gguf_tokenizer(tmp_path / "s.gguf")

    def cut(text: str) -> list[str]:
        return [found.backend.id_to_token(number) for number in found.encode(text)]

    assert cut("abc") == ["abc"]  # bc first, then a + bc
    assert cut("ab c") == ["ab", "▁", "c"]
    assert cut(" ab") == ["▁", "ab"]  # ab before ▁a
    assert cut("학[user]교") == ["학", "[user]", "<0xEA>", "<0xB5>", "<0x90>"]
    assert cut("<eos>")[0] == "<0x3C>"  # content is no control token
    assert found.decode(found.encode("ab 교 abc")) == "ab 교 abc"
    assert found.token_bytes(9) == b" a"
    assert found.token_bytes(found.encode("교")[0]) == b"\xea"


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file or folder nothing"):
        open_tokenizer("nothing", home=tmp_path)
    (tmp_path / "broken.gguf").write_bytes(b"GGUF????")
    with pytest.raises(MalmoiError, match=r"broken\.gguf"):
        open_tokenizer(str(tmp_path / "broken.gguf"), home=tmp_path)
    write_gguf(tmp_path / "odd.gguf", "gpt2", ["a"], [1], pre="unheard-of", merges=["a a"])
    with pytest.raises(MalmoiError, match="unheard-of"):
        open_tokenizer(str(tmp_path / "odd.gguf"), home=tmp_path)


@pytest.mark.parametrize("name", ["small", "standard"])
def test_catalog_models_read_korean_exactly(name: str, tmp_path: Path) -> None:
    folder = os.environ.get("MALMOI_TEST_MODELS", "")
    path = Path(folder) / f"{name}.gguf"
    if not folder or not path.is_file():
        pytest.skip("needs MALMOI_TEST_MODELS, a folder with small.gguf and standard.gguf")
    found = open_tokenizer(str(path), home=tmp_path)
    text = "학교에서 친구들과 밥을 먹었다. x = 12\n\n\treturn 😀"
    assert found.decode(found.encode(text)) == text


def test_dropout_is_seeded_and_lossless(ours: Path) -> None:
    tokenizer = Tokenizer.load(ours)
    text = documents(1)[0].text
    usual = tokenizer.encode(text)
    assert DropoutEncoder(tokenizer, rate=0.0, seed=1).encode(text) == usual
    some = DropoutEncoder(tokenizer, rate=0.2, seed=1)
    first = some.encode(text)
    assert first == DropoutEncoder(tokenizer, rate=0.2, seed=1).encode(text)
    assert first != some.encode(text, occurrence=1)
    assert first != DropoutEncoder(tokenizer, rate=0.2, seed=2).encode(text)
    assert len(first) > len(usual)
    assert tokenizer.decode(first) == text
    everything = DropoutEncoder(tokenizer, rate=1.0, seed=1).encode("학교 12 <|im_end|>")
    assert len(everything) == len("학교 12 <|im_end|>".encode())
    assert min(everything) >= 128
    with pytest.raises(InvalidInput, match=r"1\.5"):
        DropoutEncoder(tokenizer, rate=1.5, seed=0)


def test_the_byte_letters_are_all_there() -> None:
    table = byte_of_character()
    assert sorted(table.values()) == list(range(256))
    assert table["Ġ"] == 0x20
