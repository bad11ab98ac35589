"""Texts without personal data.

What is found is replaced by a plain word that says what stood there, such as `[전화번호]`; of an e-mail
address the domain stays, as the HyperCLOVA X technical report has it. `remove_pii` of its own result changes
nothing.
"""

from collections import Counter

from pydantic import BaseModel, ConfigDict, Field

from malmoi.core.pii.find import KINDS, find_pii

REPLACEMENTS = {
    "rrn": "[주민등록번호]",
    "foreigner": "[외국인등록번호]",
    "phone": "[전화번호]",
    "email": "[이메일]",
    "card": "[카드번호]",
    "account": "[계좌번호]",
    "passport": "[여권번호]",
    "ip": "[IP주소]",
}


class PiiSettings(BaseModel):
    """What is replaced, and by what."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    kinds: tuple[str, ...] = Field(KINDS)
    """Which kinds are replaced."""
    replacements: dict[str, str] = Field(default_factory=dict)
    """Other words for some kinds. Of an e-mail address it replaces what stands before the `@`."""


def remove_pii(text: str, settings: PiiSettings) -> tuple[str, dict[str, int]]:
    """The text with words in the place of personal data, and how often each kind was replaced."""
    findings = find_pii(text, frozenset(settings.kinds))
    if not findings:
        return text, {}
    words = {**REPLACEMENTS, **settings.replacements}
    parts: list[str] = []
    last = 0
    for finding in findings:
        parts += [text[last : finding.start], words[finding.kind]]
        last = finding.end
    parts.append(text[last:])
    return "".join(parts), dict(Counter(finding.kind for finding in findings))
