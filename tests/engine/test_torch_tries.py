"""Trees of rows that begin alike."""

import numpy as np
import pytest

from malmoi.engine.torch import tries
from malmoi.engine.torch.tries import Row, build_trie, packs_of, shared


def rows_of(*texts: str) -> list[Row]:
    """One id a letter; a continuation begins at the bar."""
    return [([ord(c) for c in text.replace("|", "")], text.index("|")) for text in texts]


def test_what_two_begin_with() -> None:
    assert [shared([1, 2, 3], other) for other in ([1, 2, 4], [1, 2], [1, 2, 3, 4], [], [2])] == [
        2,
        2,
        3,
        0,
        0,
    ]


def test_a_tree_holds_each_shared_token_once() -> None:
    rows = rows_of("abc|de", "abc|dfg", "abc|x", "abq|r")
    trie = build_trie(rows, kept=0)
    # inputs: abcd, abcdf, abc, abq
    assert "".join(map(chr, trie.tokens)) == "abcdfq"
    assert trie.depths.tolist() == [0, 1, 2, 3, 4, 2]
    assert trie.ends.tolist() == [6, 6, 5, 5, 5, 6]
    assert trie.paths == [[0, 1, 2, 3], [0, 1, 2, 3, 4], [0, 1, 2], [0, 1, 5]]
    assert trie.common == 2
    assert not trie.is_chain


def test_a_node_sees_itself_and_those_above() -> None:
    rows = rows_of("abc|de", "abc|dfg", "abq|rs")
    trie = build_trie(rows, kept=0)
    visible = trie.visible(0, len(trie.tokens))
    for path in trie.paths:
        for place, node in enumerate(path):
            assert np.flatnonzero(visible[node]).tolist() == path[: place + 1]


def test_kept_tokens_are_no_nodes() -> None:
    rows = rows_of("abc|de", "abc|x")
    trie = build_trie(rows, kept=2)
    assert "".join(map(chr, trie.tokens)) == "cd"
    assert trie.depths.tolist() == [2, 3]
    assert trie.paths == [[0, 1], [0]]
    assert trie.common == 3
    assert trie.is_chain


@pytest.mark.parametrize("nodes", [1, 8, 40, 10_000])
def test_packs_hold_every_row_once(nodes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "_NODES", nodes)
    random = np.random.default_rng(0)
    rows: list[Row] = []
    for _ in range(30):
        context = random.integers(0, 3, size=int(random.integers(1, 20))).tolist()
        rows += [([*context, *random.integers(0, 3, size=3).tolist()], len(context)) for _ in range(3)]
    packs = list(packs_of(rows))
    assert sorted(place for pack in packs for place in pack) == list(range(len(rows)))
    ordered = [rows[place][0] for pack in packs for place in pack]
    assert ordered == sorted(ordered)
    if nodes == 10_000:
        assert len(packs) == 1


def test_choices_stay_with_their_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "_NODES", 20)
    context = list(range(100))
    rows: list[Row] = [([*context, 200 + n, 300 + n], 100) for n in range(4)]
    other: list[Row] = [([7, *context, 200 + n], 101) for n in range(4)]
    assert list(packs_of([*rows, *other])) == [[0, 1, 2, 3], [4, 5, 6, 7]]
