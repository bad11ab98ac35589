"""A task of ours as a task of lm-eval. Imported when a run begins: it imports lm-eval.

Nothing is written twice: the prompts, the examples before them and the grades are those of `malmoi.tasks`;
lm-eval's evaluator asks them, filters, and aggregates `acc`, `acc_norm` and `acc_bytes` as everywhere.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.metrics import mean
from lm_eval.api.task import Task as LmTask
from lm_eval.config.task import TaskConfig

from malmoi.core.hangul.language import text_language
from malmoi.core.types import Message
from malmoi.evals.harness.lm import chat_text
from malmoi.evals.harness.plan import AskedTask, GradesMore, LeadingTask, ReadsChoices
from malmoi.evals.harness.texts import Answer, Likelihood
from malmoi.evals.results import ItemResult
from malmoi.tasks.base import Example
from malmoi.tasks.forms import shuffle_choices
from malmoi.tasks.graders.numbers import last_number
from malmoi.tasks.graders.numeric import gold_number
from malmoi.tasks.shots import choose_shots


class HarnessTask(LmTask):  # type: ignore[misc]
    """One task in lm-eval's evaluator.

    Attributes:
        items: what came of each example, once the evaluator has graded it.
    """

    def __init__(self, asked: AskedTask, *, seed: int = 0, chat: bool = False) -> None:
        # Not lm-eval's own: that fetches a data set from the hub.
        self.asked = asked
        self.items: list[ItemResult] = []
        self.VERSION = asked.task.info.version
        is_choice = asked.task.info.kind == "choice"
        self.OUTPUT_TYPE = "multiple_choice" if is_choice else "generate_until"
        self._seed = seed
        self._chat = chat
        self._instances: list[Instance] = []
        self._prompts: dict[str, str] = {}
        self._examples = {
            example.id: self._arranged(example) for example in asked.task.examples(asked.split)[: asked.limit]
        }
        self._docs = [asdict(example) for example in self._examples.values()]
        self._config = TaskConfig(
            task=asked.name,
            output_type=self.OUTPUT_TYPE,
            num_fewshot=asked.shots,
            repeats=asked.samples,
            generation_kwargs=None if is_choice else self._generation(),
            metadata={"version": float(self.VERSION), "form": asked.form, "split": asked.split},
        )

    def _arranged(self, example: Example) -> Example:
        # Labels of each choice, as TruthfulQA's, would not move with them.
        return shuffle_choices(example, self._seed) if self._shuffles(example) else example

    def _shuffles(self, example: Example) -> bool:
        return self.asked.shuffle and "labels" not in example.fields

    def _generation(self) -> dict[str, Any]:
        return {
            "until": list(self.asked.task.info.stop),
            "max_gen_toks": self.asked.max_tokens,
            "do_sample": self.asked.temperature > 0,
            "temperature": self.asked.temperature,
        }

    # What lm-eval asks of a task.

    def has_training_docs(self) -> bool:
        """Never: solved examples are chosen by `malmoi.tasks.shots`."""
        return False

    def has_validation_docs(self) -> bool:
        """Never: there is one split that is scored."""
        return False

    def has_test_docs(self) -> bool:
        """Always."""
        return True

    def test_docs(self) -> list[dict[str, Any]]:
        """The examples as dictionaries."""
        return self._docs

    def doc_to_text(self, doc: Mapping[str, Any]) -> str:
        """The question alone."""
        return str(doc["question"])

    def doc_to_target(self, doc: Mapping[str, Any]) -> str:
        """The right answer."""
        return str(doc["answer"])

    def build_all_requests(self, **_: Any) -> None:
        """Prompts of all examples; what lm-eval passes here is decided before."""
        self.items = []
        self._instances = [
            instance
            for number, doc in enumerate(self._docs)
            for instance in self.construct_requests(
                doc, self.fewshot_context(doc), metadata=(self.asked.name, number, self.asked.samples)
            )
        ]

    def fewshot_context(self, doc: Mapping[str, Any], *_: Any, **__: Any) -> str:
        """The whole prompt: description, solved examples, question."""
        example = self._examples[doc["id"]]
        shots = choose_shots(self.asked.task, example, self.asked.shots, self._seed)
        arranged = [shuffle_choices(shot, self._seed) if self._shuffles(shot) else shot for shot in shots]
        text = self.asked.task.prompt(example, arranged, form=self.asked.form)
        self._prompts[example.id] = text
        return chat_text((Message("user", text),)) if self._chat else text

    def construct_requests(self, doc: Mapping[str, Any], ctx: str, **kwargs: Any) -> list[Instance]:
        """One request a choice, or one for the answer."""
        if self.OUTPUT_TYPE == "generate_until":
            arguments = (ctx, self._generation())
            return [
                Instance(request_type="generate_until", doc=dict(doc), arguments=arguments, idx=0, **kwargs)
            ]
        task, example = self.asked.task, self._examples[doc["id"]]
        texts = task.continuations(example, form=self.asked.form)
        # Where a task compares one ending after several choices, a choice belongs to the prompt.
        leads = (
            task.leads(example, form=self.asked.form) if isinstance(task, LeadingTask) else ("",) * len(texts)
        )
        pairs = [(ctx + lead if lead else ctx, text) for lead, text in zip(leads, texts, strict=True)]
        return [
            Instance(request_type="loglikelihood", doc=dict(doc), arguments=pair, idx=place, **kwargs)
            for place, pair in enumerate(pairs)
        ]

    def apply_filters(self) -> list[Instance]:
        """The first answer of each request, or all where several were asked for."""
        for instance in self._instances:
            several = self.asked.samples > 1
            instance.filtered_resps["none"] = instance.resps if several else instance.resps[0]
        return self._instances

    def process_results(self, doc: Mapping[str, Any], results: Sequence[Any]) -> dict[str, float]:
        """Grade one example; its item is kept."""
        example = self._examples[doc["id"]]
        if self.OUTPUT_TYPE == "generate_until":
            item, grades = self._generated(example, results[0])
        else:
            item, grades = self._chosen(example, results)
        self.items.append(item)
        return grades

    def aggregation(self) -> dict[str, Callable[[Sequence[float]], float]]:
        """Means, as lm-eval's."""
        if self.OUTPUT_TYPE == "generate_until":
            return {"grade": mean}
        return {"acc": mean, "acc_norm": mean, "acc_bytes": mean}

    def higher_is_better(self) -> dict[str, bool]:
        """All are."""
        return dict.fromkeys(self.aggregation(), True)

    # Grades.

    def _chosen(self, example: Example, results: Sequence[Likelihood]) -> tuple[ItemResult, dict[str, float]]:
        """The likeliest choice as it is, by character and by byte; of equals the first, as numpy's argmax."""
        logprobs = tuple(float(result[0]) for result in results)
        lengths = {
            "acc": [1] * len(logprobs),
            "acc_norm": [max(len(choice), 1) for choice in example.choices],
            "acc_bytes": [max(len(choice.encode("utf-8")), 1) for choice in example.choices],
        }
        best = {
            name: max(range(len(logprobs)), key=lambda n, size=size: logprobs[n] / size[n])  # type: ignore[misc]
            for name, size in lengths.items()
        }
        grades = {name: self._grade(example, example.choices[place]) for name, place in best.items()}
        answer = example.choices[best["acc"]]
        further = {"accuracy_by_character": grades["acc_norm"], "accuracy_by_byte": grades["acc_bytes"]}
        item = self._item(
            example,
            answer=answer,
            grade=grades["acc"],
            grades={**self._further(example, answer), **(further if self.asked.form == "cloze" else {})},
            logprobs=logprobs,
            prompt_tokens=max((result.prompt_tokens for result in results if _counts(result)), default=0),
            completion_tokens=sum(result.completion_tokens for result in results if _counts(result)),
            cut=any(result.cut for result in results if _counts(result)),
        )
        return item, grades

    def _generated(self, example: Example, result: Any) -> tuple[ItemResult, dict[str, float]]:
        answers = list(result) if self.asked.samples > 1 else [result]
        answer = _most_frequent(answers, example)
        grade = self._grade(example, answer)
        told = [given.notes for given in answers if isinstance(given, Answer)]
        reasons = [notes.finish_reason for notes in told]
        fields: dict[str, Any] = {}
        if self.asked.samples > 1:
            passed = sum(self._grade(example, given) >= 1.0 for given in answers)
            fields = {"sampled": [str(given) for given in answers], "passed": passed, "samples": len(answers)}
        task, named = self.asked.task, str(answer)
        if isinstance(task, ReadsChoices) and (named := task.read(example, named)) != answer:
            fields = {**fields, "written": str(answer)}  # bias is counted over choices
        item = self._item(
            example,
            answer=named,
            grade=grade,
            grades=self._further(example, answer),
            prompt_tokens=sum(notes.prompt_tokens for notes in told),
            completion_tokens=sum(notes.completion_tokens for notes in told),
            cut=any(notes.cut for notes in told),
            finish_reason="length" if "length" in reasons else next(iter(reasons), None),
            language=text_language(answer),
            fields=fields,
        )
        return item, {"grade": grade}

    def _item(
        self, example: Example, *, cut: bool, fields: Mapping[str, Any] | None = None, **known: Any
    ) -> ItemResult:
        more = {**example.fields, **(fields or {}), **({"context_cut": True} if cut else {})}
        return ItemResult(
            task=self.asked.name,
            id=example.id,
            category=example.category,
            prompt=self._prompts[example.id],
            choices=example.choices,
            gold=example.answer,
            fields=more,
            **known,
        )

    def _grade(self, example: Example, answer: str) -> float:
        return self.asked.task.grade(example, str(answer))

    def _further(self, example: Example, answer: str) -> dict[str, float]:
        task = self.asked.task
        return dict(task.grades(example, str(answer))) if isinstance(task, GradesMore) else {}


def _counts(result: Any) -> bool:
    """Whether a result tells its tokens; those of other models of lm-eval do not."""
    return isinstance(result, Likelihood)


def _most_frequent(answers: Sequence[str], example: Example) -> str:
    """The first of the answers that say what most of them say (Wang et al. 2023, self-consistency).

    Answers to a question whose right one is a number are compared by their last number, others as they are.
    """
    if len(answers) == 1:
        return answers[0]
    is_number = gold_number(example.answer) is not None
    said = [last_number(answer) if is_number else answer.strip() for answer in answers]
    counts = Counter(each for each in said if each is not None)
    if not counts:
        return answers[0]
    winner = counts.most_common(1)[0][0]
    return answers[said.index(winner)]
