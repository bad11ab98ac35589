"""Which tokens stay: the joins survive, the required ones are there, and bad sizes are refused."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malmoi.core.errors import InvalidInput, UnknownName
from malmoi.factory.tokenizer.trim.choose import choose
from malmoi.factory.tokenizer.trim.merged import MergedVocabulary, byte_letters
from malmoi.factory.tokenizer.trim.merging import join
from malmoi.factory.tokenizer.trim.scored import ScoredVocabulary
from malmoi.factory.tokenizer.trim.scripts import script_of
from malmoi.factory.tokenizer.trim.trim import TrimSettings
from malmoi.factory.tokenizer.trim.unigram import UnigramVocabulary
from malmoi.factory.tokenizer.trim.vocabulary import Usage, Vocabulary
from trim_models import KOREAN, SENTENCES, spm_vocabulary


def scored() -> ScoredVocabulary:
    texts, scores, types = spm_vocabulary()
    return ScoredVocabulary(
        texts,
        scores,
        special=frozenset(n for n, kind in enumerate(types) if kind in (2, 3)),
        user=frozenset(n for n, kind in enumerate(types) if kind == 4),
        placeholders=frozenset({3, 4}),
    )


def usage_of(vocabulary: Vocabulary, texts: tuple[str, ...]) -> Usage:
    words: Counter[str | int] = Counter()
    for text in texts:
        words.update(vocabulary.words(text))
    return vocabulary.count(words)


def random_merges(pairs: list[tuple[str, str]]) -> MergedVocabulary:
    """A vocabulary over a, b, c whose merges are those of `pairs` that its pieces allow."""
    texts = ["a", "b", "c"]
    merges = []
    for left, right in pairs:
        if left in texts and right in texts and left + right not in texts and len(left + right) < 9:
            texts.append(left + right)
            merges.append((left, right))
    return MergedVocabulary(texts, merges, lambda text: [text], byte_level=False)


PIECES = st.text("abc", min_size=1, max_size=4)


class TestJoining:
    def test_the_best_rank_goes_first_and_the_left_of_equals(self) -> None:
        ranks = {("a", "b"): 1.0, ("b", "a"): 0.0, ("a", "a"): 2.0}
        parts, made = join("abab", lambda left, right: ranks.get((left, right), float("inf")))
        assert parts == ["a", "ba", "b"]
        assert made == ["ba"]
        parts, _ = join("aaa", lambda left, right: 0.0 if left == right == "a" else float("inf"))
        assert parts == ["aa", "a"]

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(st.tuples(PIECES, PIECES), max_size=60),
        st.sets(st.integers(0, 40)),
        st.text("abc", max_size=24),
    )
    def test_a_vocabulary_with_all_paths_cuts_what_it_holds_as_before(
        self, pairs: list[tuple[str, str]], wanted: set[int], text: str
    ) -> None:
        whole = random_merges(pairs)
        kept = {0, 1, 2}
        for token in wanted:
            if token < len(whole.texts):
                kept.update(whole.path(token))
        order = sorted(kept)
        smaller = whole.restricted(order)
        before, pieces = whole.cut(text) if text else ([], [])
        if set(before) <= kept:
            assert set(pieces) <= kept  # a kept token's path is kept
            after = smaller.cut(text)[0] if text else []
            assert [order[token] for token in after] == before

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.tuples(PIECES, PIECES), max_size=60), st.lists(st.text("abc", min_size=1), min_size=1))
    def test_the_order_of_use_holds_every_path(self, pairs: list[tuple[str, str]], texts: list[str]) -> None:
        vocabulary = random_merges(pairs)
        usage = usage_of(vocabulary, tuple(texts))
        order = sorted(usage.pieces, key=lambda t: (-usage.pieces[t], len(vocabulary.texts[t]), t))
        for count in range(len(order)):
            first = set(order[: count + 1])
            assert set(vocabulary.path(order[count])) <= first


class TestChoosing:
    def test_what_every_text_needs_stays_and_placeholders_go(self) -> None:
        vocabulary = scored()
        choice = choose(vocabulary, usage_of(vocabulary, KOREAN), 320)
        kept = [vocabulary.texts[token] for token in choice.kept]
        assert len(kept) == 320
        assert set(kept) >= {"<unk>", "<s>", "</s>", "<turn>", "<0x00>", "<0xFF>"}
        assert "<unused0>" not in kept
        assert choice.required == 260
        assert choice.required + choice.languages + choice.data + choice.order == 320
        assert list(choice.kept) == sorted(choice.kept)

    def test_placeholders_stay_where_asked(self) -> None:
        vocabulary = scored()
        choice = choose(vocabulary, usage_of(vocabulary, KOREAN), 320, placeholders=True)
        assert {3, 4} <= set(choice.kept)

    def test_every_kept_token_can_be_reached(self) -> None:
        vocabulary = scored()
        choice = choose(vocabulary, usage_of(vocabulary, KOREAN), 350)
        smaller = vocabulary.restricted(choice.kept)
        for new, old in enumerate(choice.kept):
            if vocabulary.path(old) and vocabulary.shown(old):
                text = smaller.texts[new]
                if old not in vocabulary.user:
                    assert smaller.cut(text)[0] == [new]

    def test_the_data_decides(self) -> None:
        vocabulary = scored()
        english = choose(vocabulary, usage_of(vocabulary, SENTENCES[3:5]), 320)
        korean = choose(vocabulary, usage_of(vocabulary, KOREAN), 320)

        def hangul(kept: tuple[int, ...]) -> int:
            return sum(script_of(vocabulary.shown(token) or "") == "hangul" for token in kept)

        assert hangul(korean.kept) > 2 * hangul(english.kept)

    def test_a_language_that_is_asked_for_stays(self) -> None:
        vocabulary = scored()
        usage = usage_of(vocabulary, SENTENCES[3:4])
        plain = choose(vocabulary, usage, 300)
        asked = choose(vocabulary, usage, 300, languages=["ja"])
        letters = {"公", "園", "の"}
        assert not letters & {vocabulary.shown(token) for token in plain.kept}
        assert len(letters & {vocabulary.shown(token) for token in asked.kept}) >= 2
        assert 0 < asked.languages <= 300 // 8

    def test_sizes_that_cannot_be(self) -> None:
        vocabulary = scored()
        usage = usage_of(vocabulary, KOREAN)
        with pytest.raises(InvalidInput, match="too few: byte fallback and special tokens alone are 260"):
            choose(vocabulary, usage, 100)
        with pytest.raises(InvalidInput, match="is not smaller"):
            choose(vocabulary, usage, len(vocabulary.texts))

    def test_an_unknown_language_names_the_known(self) -> None:
        with pytest.raises(UnknownName, match="no language to keep 'kr'"):
            TrimSettings(languages=("kr",))


class TestVocabularies:
    def test_any_text_comes_back_from_a_trimmed_vocabulary(self) -> None:
        vocabulary = scored()
        choice = choose(vocabulary, usage_of(vocabulary, KOREAN), 300)
        smaller = vocabulary.restricted(choice.kept)
        text = "공원 🙂🫠 words\n\tٱلسَّلَامُ 漢字 뷁 <turn> \x07"
        back = bytearray()
        bytes_of = {token: byte for byte, token in smaller.byte_ids.items()}
        for token in smaller.encode(text):
            shown = smaller.shown(token)
            back += bytes([bytes_of[token]]) if shown is None else shown.encode()
        assert back.decode() == text

    def test_words_end_where_no_token_goes_on(self) -> None:
        texts, scores, _ = spm_vocabulary()
        vocabulary = ScoredVocabulary([*texts, ">\u2581<"], [*scores, -1.0])
        assert list(vocabulary.words("a b> <c")) == ["a", "\u2581b>\u2581<c"]

    def test_unigram_keeps_the_likeliest_cut(self) -> None:
        texts, scores = ["<unk>", "a", "b", "ab", "ba", "aba"], [0.0, -3.0, -3.0, -4.0, -4.5, -9.0]
        whole = UnigramVocabulary(texts, scores, lambda text: [text], unknown=0, special=frozenset({0}))
        assert [texts[token] for token in whole.encode("abab")] == ["ab", "ab"]
        smaller = whole.restricted([0, 1, 2, 3])
        assert [smaller.texts[token] for token in smaller.encode("abab")] == ["ab", "ab"]

    def test_byte_letters_are_those_of_gpt2(self) -> None:
        letters = byte_letters()
        assert letters[ord(" ")] == "Ġ"
        assert letters[ord("\n")] == "Ċ"
        assert len(set(letters.values())) == 256
