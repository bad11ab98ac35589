from malmoi.serve.db import new_id


def test_ids_sort_by_the_time_they_were_made() -> None:
    ids = [new_id("msg") for _ in range(2000)]
    assert sorted(ids) == ids
    assert len(set(ids)) == len(ids)


def test_ids_are_short_plain_and_prefixed() -> None:
    made = new_id("conv")
    assert made.startswith("conv_")
    assert len(made) <= 40
    assert made.replace("_", "").isalnum()
    assert made == made.lower()
