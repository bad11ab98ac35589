"""Manifests: every fault is named with its line, and a folder becomes a skill."""

from pathlib import Path

import pytest

from malmoi.assist.skills.found import builtin_skills, find_skills
from malmoi.assist.skills.manifest_reading import load_skill, read_manifest
from malmoi.assist.skills.toml_lines import toml_lines
from malmoi.core.errors import ConfigError

GOOD = """\
name = "cafe"
domain = "food"
version = "1"
description = "Finds cafes."
[people.ko]
name = "카페"
description = "카페를 찾습니다."
[[examples]]
query = "근처 카페 찾아줘"
operation = "find"
arguments = { place = "전주", when = 2026-01-01 }
[source]
python = "a.b:C"
[operations.find]
effect = "read"
"""


def test_a_good_manifest_is_read() -> None:
    manifest, findings = read_manifest(GOOD.encode())
    assert findings == []
    assert manifest is not None
    assert manifest.people_text("en").name == "카페"
    assert manifest.examples[0].arguments == {"place": "전주", "when": "2026-01-01"}
    assert manifest.source.kind == "python"


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "words"),
    [
        ('name = "cafe"', 'name = "Cafe 1"', 1, "name", "does not fit"),
        ('name = "카페"', f'name = "{"가" * 21}"', 6, "people.ko.name", "at most 20"),
        ("[people.ko]", "[people.jp]", 5, "people.jp", "'ko' or 'en'"),
        ('effect = "read"', 'efect = "read"', 15, "operations.find.efect", "did you mean `effect`"),
        ('effect = "read"', 'final = "yes"', 15, "operations.find.final", "boolean"),
        ('effect = "read"', 'effect = "maybe"', 15, "operations.find.effect", "'read' or 'write'"),
        ('version = "1"', "version = 1", 3, "version", "valid string"),
        ('python = "a.b:C"', 'python = "a.b:C"\nopenapi = "x.json"', 12, "source", "exactly one"),
        ('python = "a.b:C"', "", 12, "source", "exactly one"),
        ('python = "a.b:C"', 'python = "os.system(1)"', 13, "source.python", "does not fit"),
        ('operation = "find"\n', "", 8, "examples.0", "need an `operation`"),
        ('query = "근처 카페 찾아줘"', 'query = "', 9, "", "not TOML"),
        ('description = "Finds cafes."', f'description = "{"x" * 1001}"', 4, "description", "at most 1000"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_fault_is_named_with_its_line(old: str, new: str, line: int, key: str, words: str) -> None:
    manifest, findings = read_manifest(GOOD.replace(old, new, 1).encode(), file="x/skill.toml")
    assert manifest is None
    found = [(one.line, one.key) for one in findings if words in one.message]
    assert (line, key) in found, findings
    assert str(findings[0]).startswith(f"x/skill.toml:{findings[0].line}:")


def test_what_is_not_text_is_refused() -> None:
    assert read_manifest(b'name = "\xff"')[1][0].line == 1
    assert "more than" in read_manifest(b"#" * 300_000)[1][0].message


def test_an_uploaded_skill_runs_nothing_here() -> None:
    _, findings = read_manifest(GOOD.encode(), origin="uploaded")
    assert [(one.line, one.key) for one in findings] == [(13, "source.python")]
    command = GOOD.replace('python = "a.b:C"', 'mcp = { command = ["sh"] }')
    _, findings = read_manifest(command.encode(), origin="uploaded")
    assert [(one.line, one.key) for one in findings] == [(13, "source.mcp.command")]


def test_lines_of_all_kinds_of_keys() -> None:
    text = """\
a = \"\"\"
b = 1
\"\"\"
# c = 1
"d.e".f = [
  1,
  { g = 2 }, # x
]
[[h]]
i = '''
'''
[[h]]
[h.j]
k = 1
"""
    assert toml_lines(text) == {
        (): 1,
        ("a",): 1,
        ("d.e",): 5,
        ("d.e", "f"): 5,
        ("d.e", "f", 0): 6,
        ("d.e", "f", 1): 7,
        ("d.e", "f", 1, "g"): 7,
        ("h",): 9,
        ("h", 0): 9,
        ("h", 0, "i"): 10,
        ("h", 1): 12,
        ("h", 1, "j"): 13,
        ("h", 1, "j", "k"): 14,
    }


def test_folders_become_skills_and_broken_ones_are_told(tmp_path: Path) -> None:
    for name, text in {"cafe": GOOD, "twin": GOOD, "bad": "name = 1", "empty": None}.items():
        (tmp_path / "skills" / name).mkdir(parents=True)
        if text is not None:
            (tmp_path / "skills" / name / "skill.toml").write_text(text)
    skills, broken = find_skills(tmp_path)
    assert "cafe" in [skill.name for skill in skills]
    assert set(broken) == {"twin", "bad", "empty"}
    assert "another skill 'cafe'" in str(broken["twin"])
    assert [one.origin for one in skills if one.name == "cafe"] == ["operator"]


def test_a_missing_manifest_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"skill\.toml cannot be read"):
        load_skill(tmp_path)


def test_the_built_in_skills_are_in_order() -> None:
    names = [skill.name for skill in builtin_skills()]
    assert names == sorted(set(names))
