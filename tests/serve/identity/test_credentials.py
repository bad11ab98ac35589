import pytest
from hypothesis import given
from hypothesis import strategies as st

from malmoi.core.errors import InvalidInput
from malmoi.serve.identity.credentials import new_key, parse_key, read_credential, redact


def headers(**given: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()]


def test_a_key_has_its_shape_and_hides_its_secret() -> None:
    key = new_key()
    text = str(key)
    assert len(text) == 3 + 8 + 1 + 43
    assert parse_key(text) == key
    assert key.secret not in repr(key)
    assert redact(f"key {text}!") == f"key mm_{key.id}_[redacted]!"


@pytest.mark.parametrize("text", ["", "mm_", "mm_abcdefgh_short", "sk-abc", "mm_ABCDEFGH_" + "x" * 43])
def test_other_texts_are_no_keys(text: str) -> None:
    assert parse_key(text) is None


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (headers(), None),
        (headers(authorization="Bearer one"), "one"),
        (headers(authorization="bearer  one "), "one"),
        (headers(x_api_key="one"), "one"),
        (headers(x_ncp_clovastudio_api_key="one"), "one"),
        (headers(authorization="Bearer one", x_api_key="one"), "one"),
        (headers(authorization="Basic dXNlcjpwYXNz"), None),
        (headers(authorization="Basic dXNlcjpwYXNz", x_api_key="one"), "one"),
        (headers(authorization="Bearer "), None),
        (headers(x_ncp_apigw_api_key="another"), None),
    ],
)
def test_one_credential_is_found_wherever_it_is(given: list[tuple[bytes, bytes]], found: str | None) -> None:
    assert read_credential(given) == found


@pytest.mark.parametrize(
    "given",
    [
        headers(authorization="Bearer one", x_api_key="two"),
        headers(x_api_key="one", x_ncp_clovastudio_api_key="two"),
        [(b"authorization", b"Bearer one"), (b"authorization", b"Bearer two")],
    ],
)
def test_two_different_credentials_are_refused_without_repeating_them(
    given: list[tuple[bytes, bytes]],
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_credential(given)
    assert "one" not in str(caught.value).replace("one header", "")


@given(st.lists(st.tuples(st.sampled_from([b"authorization", b"x-api-key"]), st.binary(max_size=60))))
def test_any_bytes_are_read_or_refused(given_headers: list[tuple[bytes, bytes]]) -> None:
    try:
        found = read_credential(given_headers)
    except InvalidInput:
        return
    assert found is None or parse_key(found) is None or found.startswith("mm_")
