import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from tokenizer_samples import PARTICLES, ParticleAnalyzer, documents, trained, words_of

from malmoi.core.errors import InvalidInput
from malmoi.core.stage import SilentProgress
from malmoi.factory.tokenizer.morphemes import BOUNDARIES, CutCache, cut_points
from malmoi.factory.tokenizer.splitting import FIRST_LEARNED
from malmoi.factory.tokenizer.tokenizer import Tokenizer
from malmoi.factory.tokenizer.train import Trained, korean_form


def tokens(made: Trained) -> list[str]:
    tokenizer = Tokenizer(made.backend, eot_id=0)
    numbers = range(FIRST_LEARNED, tokenizer.vocab_size)
    control = set(tokenizer.special.values())
    return [tokenizer.token_bytes(n).decode(errors="replace") for n in numbers if n not in control]


def test_the_same_words_give_the_same_bytes(tmp_path: Path) -> None:
    for settings in ({}, {"kind": "byte"}, {"kind": "character"}, {"whole_word_share": 0.3}):
        saved = []
        for turn in ("one", "two"):
            work = tmp_path / f"{turn}{settings}"
            work.mkdir()
            docs = documents() if turn == "one" else documents()[::-1]
            saved.append(trained(work, ParticleAnalyzer(), docs=docs, **settings).backend.to_str())
        assert saved[0] == saved[1]


def test_morphemes_are_not_joined_and_words_are(tmp_path: Path) -> None:
    analyzer = ParticleAnalyzer()
    morpheme = tokens(trained(tmp_path, analyzer))
    plain = tokens(trained(tmp_path, kind="byte"))
    both = ["학교" + particle for particle in PARTICLES]
    assert not any(word in token for token in morpheme for word in both)
    assert any(word in token for token in plain for word in both)
    assert " 학교" in morpheme
    assert "에서" in morpheme


def test_whole_words_come_after_everything_inside_morphemes(tmp_path: Path) -> None:
    free = trained(tmp_path, ParticleAnalyzer(), whole_word_share=0.5)
    strict = trained(tmp_path, ParticleAnalyzer(), vocab_size=FIRST_LEARNED + 160)
    assert free.vocab_size == 704
    assert free.merges[:160] == strict.merges[:160]
    assert any(token.strip() == "학교" + particle for token in tokens(free) for particle in PARTICLES)


def test_characters_are_never_joined(tmp_path: Path) -> None:
    made = trained(tmp_path, kind="character", vocab_size=4096)
    assert all(len(token) <= 2 for token in tokens(made))  # a part of a character decodes to a mark or two
    assert "학" in tokens(made)
    tokenizer = Tokenizer(made.backend, eot_id=0)
    assert [tokenizer.token_bytes(n).decode() for n in tokenizer.encode("학교 the")] == list("학교 the")


@pytest.mark.parametrize("kind", ["morpheme", "byte", "character"])
def test_sizes_are_multiples_of_64(tmp_path: Path, kind: str) -> None:
    made = trained(tmp_path, ParticleAnalyzer(), kind=kind, vocab_size=500)
    assert made.vocab_size % 64 == 0
    assert made.backend.get_vocab_size() == made.vocab_size
    ids = sorted(made.backend.get_vocab().values())
    assert ids == list(range(made.vocab_size))
    assert made.backend.get_added_tokens_decoder()[0].content == "<|endoftext|>"
    assert any("next multiple" in note for note in made.notes)


def test_more_tokens_than_the_text_can_fill_is_said(tmp_path: Path) -> None:
    made = trained(tmp_path, kind="byte", vocab_size=100_032)
    assert made.vocab_size < 3000
    assert made.vocab_size % 64 == 0
    assert made.backend.id_to_token(made.vocab_size - 1).startswith("<|reserved_")
    assert "fills" in made.notes[0]
    assert "100032" in made.notes[0]


def test_no_room_for_bytes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="383 is too small") as caught:
        trained(tmp_path, vocab_size=383)
    assert caught.value.field == "vocab_size"
    assert trained(tmp_path, kind="byte", vocab_size=384).merges == []


def test_limits_hold(tmp_path: Path) -> None:
    made = trained(tmp_path, ParticleAnalyzer(), max_token_length=6, whole_word_share=0.3)
    assert max(len(left + right) for left, right in made.merges) <= 6
    rare = trained(tmp_path, kind="byte", vocab_size=4096, min_pair_frequency=50)
    assert rare.vocab_size < trained(tmp_path, kind="byte", vocab_size=4096).vocab_size


def test_rare_words_are_neither_analysed_nor_learned_from(tmp_path: Path) -> None:
    docs = [*documents(), replace(documents()[0], id="rare", text="희귀낱말에서 " * 3)]
    analyzer = ParticleAnalyzer()
    made = trained(tmp_path, analyzer, docs=docs, min_word_count=4, vocab_size=4096)
    assert "희귀낱말에서" not in analyzer.asked
    assert not any("희귀" in token for token in tokens(made))


def test_cuts_come_from_growing_starts_of_chosen_classes() -> None:
    # 친구했다: 친구/NNG 하/XSV 었/EP (fused with it) 다/EF
    found = [SimpleNamespace(start=s, tag=t) for s, t in [(0, "NNG"), (2, "XSV"), (2, "EP"), (3, "EF")]]
    assert cut_points(found, BOUNDARIES) == [2, 3]
    assert cut_points(found, ["e"]) == [3]  # the ending inside 했 begins no syllable of its own
    assert cut_points(found, ["j"]) == []
    first = [SimpleNamespace(start=0, tag="VV"), SimpleNamespace(start=0, tag="EP")]
    assert cut_points(first, BOUNDARIES) == []


def test_a_killed_analysis_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("malmoi.factory.tokenizer.morphemes._BATCH", 8)
    whole = trained(tmp_path / "..", ParticleAnalyzer()).backend.to_str()
    dying = ParticleAnalyzer(dies_after=29)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, dying)
    cache = tmp_path / "morphemes.jsonl"
    torn = cache.read_bytes() + '["끊긴'.encode()  # what a crash leaves
    cache.write_bytes(torn)
    rest = ParticleAnalyzer()
    assert trained(tmp_path, rest).backend.to_str() == whole
    assert not set(dying.asked[:24]) & set(rest.asked)
    again = ParticleAnalyzer()
    trained(tmp_path, again)
    assert again.asked == []
    assert all(json.loads(line) for line in cache.read_text().splitlines())


def test_analyses_for_other_boundaries_are_not_used(tmp_path: Path) -> None:
    file = tmp_path / "cuts.jsonl"
    cache = CutCache(file, ["j"])
    with SilentProgress().task("") as task:
        cache.analyse(["학교에서"], ParticleAnalyzer(), task)
    assert CutCache(file, ["j"])["학교에서"] == (2,)
    assert len(CutCache(file, ["j", "e"])) == 0


@pytest.mark.parametrize(
    ("word", "form"),
    [
        (" 학교에서", (1, "학교에서")),
        ("학교", (0, "학교")),
        ("(Python은", (1, "Python은")),
        (" the", None),
        ("ㅋㅋ", None),
    ],
)
def test_the_letters_of_a_word(word: str, form: tuple[int, str] | None) -> None:
    assert korean_form(word) == form


def test_the_sample_follows_the_mixture_and_nothing_else(tmp_path: Path) -> None:
    docs = documents(300)
    total = sum(len(d.text.encode()) for d in docs)
    some = words_of(docs, sample_bytes=total // 4)
    assert sum(some.sampled.values()) == pytest.approx(total // 4, rel=0.15)
    assert set(some.sampled) == {"ko", "en", "code"}
    assert words_of(docs[::-1], sample_bytes=10**9) == words_of(docs)
    assert words_of(docs, sample_bytes=total // 4, seed=1).counts != some.counts


def test_one_giant_document_does_not_break_the_sample() -> None:
    giant = replace(documents()[0], text="가나다라 " * 200_000)
    words = words_of([giant], sample_bytes=100_000)
    assert words.sampled["ko"] <= 100_000
    line = replace(giant, text="x" * 3_000_000 + " 시민")
    assert words_of([line]).too_long >= 1


def test_no_text_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="no text"):
        words_of([replace(documents()[0], text="")])
