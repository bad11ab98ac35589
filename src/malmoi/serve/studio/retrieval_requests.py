"""What clients of the Studio API send for segmentation, summaries, reranking and RAG reasoning."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from malmoi.serve.studio.requests import Body, MessageIn, NamedToolChoice, Text, ToolIn

_SEGMENTED = 120_000  # characters
_SUMMARIZED = 35_000
_READ = 500_000  # of all documents of a request


class Segmentation(Body):
    """`POST /v1/api-tools/segmentation`."""

    text: str = Field(min_length=1, max_length=_SEGMENTED)
    alpha: float = 0.0
    """-1.5 to 1.5, larger: more segments; -100: as many as the text suggests."""
    segCnt: int = Field(-1, ge=-1)  # noqa: N815
    """How many segments; -1: as `alpha` has it."""
    postProcess: bool = False  # noqa: N815
    """Join segments that are too short and cut those that are too long."""
    postProcessMaxSize: int = Field(1000, ge=1)  # noqa: N815
    postProcessMinSize: int = Field(300, ge=0)  # noqa: N815


class Summarization(Body):
    """`POST /v1/api-tools/summarization/v2`."""

    texts: list[str] = Field(min_length=1, max_length=10_000)
    """At most 35,000 characters together."""
    autoSentenceSplitter: bool = True  # noqa: N815
    """Find the sentences; else each text is one."""
    segCount: int = Field(-1, ge=-1)  # noqa: N815
    segMaxSize: int = Field(1000, ge=1, le=3000)  # noqa: N815
    segMinSize: int = Field(300, ge=0, le=3000)  # noqa: N815
    includeAiFilters: bool = False  # noqa: N815
    """Tell in `aiFilter` how risky the summary is."""

    @model_validator(mode="after")
    def _fits(self) -> "Summarization":
        size = sum(map(len, self.texts))
        if size > _SUMMARIZED:
            raise ValueError(f"the texts have {size} characters; {_SUMMARIZED} are possible")
        if not any(text.strip() for text in self.texts):
            raise ValueError("the texts are empty")
        return self


class DocumentIn(Body):
    """A document as a search has found it."""

    id: str = Field(min_length=1, max_length=256)
    doc: Text


class Rerank(Body):
    """`POST /v1/api-tools/reranker`."""

    documents: list[DocumentIn] = Field(min_length=1, max_length=200)
    query: str = Field(min_length=1, max_length=8000)
    maxTokens: int = Field(1024, ge=1, lt=4096)  # noqa: N815
    """Of the answer."""

    @model_validator(mode="after")
    def _fits(self) -> "Rerank":
        size = sum(len(document.doc) for document in self.documents)
        if size > _READ:
            raise ValueError(f"the documents have {size} characters; {_READ} are possible")
        ids = [document.id for document in self.documents]
        if len(set(ids)) < len(ids):
            raise ValueError("two documents have the same id")
        return self


class RagReasoning(Body):
    """`POST /v1/api-tools/rag-reasoning`."""

    messages: list[MessageIn] = Field(min_length=1, max_length=4096)
    """A tool's content is JSON: `{"search_result": [{"id", "doc"}]}`."""
    tools: Annotated[list[ToolIn], Field(min_length=1, max_length=128)]
    toolChoice: Literal["auto", "none"] | NamedToolChoice | None = None  # noqa: N815
    topP: float = Field(0.8, gt=0, le=1)  # noqa: N815
    topK: int = Field(0, ge=0, le=128)  # noqa: N815
    maxTokens: int = Field(1024, ge=1, lt=4096)  # noqa: N815
    temperature: float = Field(0.5, ge=0, le=1)
    repetitionPenalty: float = Field(1.1, gt=0, le=2)  # noqa: N815
    stop: list[str] = Field(default_factory=list)
    seed: int = Field(0, ge=0, le=4294967295)
    """0: a random one."""
    includeAiFilters: bool = True  # noqa: N815
    """Tell in `aiFilter` how risky the answer is."""


class SearchResult(Body):
    """The content of a tool's message."""

    search_result: list[DocumentIn] = Field(max_length=200)
