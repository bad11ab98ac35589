from malmoi.factory.tokenizer.special_tokens import BLOCK, GROUPS, special_tokens

# Ids are written into token files, models and templates: an entry that moves breaks all of them.
FROZEN = {
    "<|endoftext|>": 0,
    "<|pad|>": 1,
    "<|fim_prefix|>": 2,
    "<|fim_suffix|>": 3,
    "<|fim_middle|>": 4,
    "<|user|>": 5,
    "<|assistant|>": 6,
    "<|endofturn|>": 7,
    "<|im_start|>": 8,
    "<|im_end|>": 9,
    "<|stop|>": 10,
    "<think>": 11,
    "</think>": 12,
    "<tools>": 13,
    "</tool_response>": 18,
    "</arg_value>": 22,
    "<|mime_start|>": 23,
    "<|IMAGE_PAD|>": 26,
    "<|video_end|>": 33,
    "<|reserved_0|>": 34,
}


def test_ids_never_move() -> None:
    tokens = special_tokens()
    assert {token: tokens.index(token) for token in FROZEN} == FROZEN


def test_the_block_is_full_and_every_name_is_its_own() -> None:
    tokens = special_tokens()
    assert len(tokens) == len(set(tokens)) == BLOCK
    assert BLOCK % 64 == 0
    assert sum(token.startswith("<|reserved_") for token in tokens) >= 64
    assert sum(map(len, GROUPS.values())) == tokens.index("<|reserved_0|>")
