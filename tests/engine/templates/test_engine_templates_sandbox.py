"""Templates from hostile files: they reach nothing, and they stop soon. Honest ones render as elsewhere."""

import json
import time
from datetime import datetime

import jinja2.ext
import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from malmoi.core.errors import InvalidInput, ModelFileInvalid
from malmoi.core.types import Chat, Message, Tool
from malmoi.engine.templates import load_template
from malmoi.engine.templates.template import JinjaTemplate

CHAT = Chat((Message("user", "안녕"),))


def render(source: str, chat: Chat = CHAT) -> str:
    return load_template(source, special_tokens=()).render(chat).text


GROW = "{% for i in range(60) %}"
GREEDY = {
    "repeat": "{{ 'a' * 10**9 }}",
    "repeat left": "{{ 10**9 * 'a' }}",
    "repeat list": "{{ [1] * 10**9 }}",
    "power": "{{ 10**10**10 }}",
    "product": "{% set ns = namespace(x=9) %}" + GROW + "{% set ns.x = ns.x * ns.x %}{% endfor %}",
    "range": "{% for a in range(10**9) %}{% endfor %}",
    "nested loops": "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "filtered loops": "{% for a in range(9999) %}{% for b in range(9999) if false %}{% endfor %}{% endfor %}",
    "literal in loops": "{% for a in range(9999) %}{% for b in range(9) %}"
    + "x" * 5000
    + "{% endfor %}{% endfor %}",
    "recursive macro": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "doubling macro": "{% macro f(n) %}{% if n %}{{ f(n-1) ~ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "recursive loop": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "doubling loop": "{% for x in [1] recursive %}{{ loop([1, 1]) if loop.depth < 60 }}{% endfor %}",
    "doubling concat": "{% set ns = namespace(x='aa') %}" + GROW + "{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "doubling sum": "{% set ns = namespace(x='aa') %}" + GROW + "{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "doubling block": "{% set ns = namespace(x='aa') %}"
    + GROW
    + "{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}{% endfor %}",
    "billion laughs": "{% set ns = namespace(x=['a']) %}"
    + GROW
    + "{% set ns.x = [ns.x, ns.x] %}{% endfor %}",
    "laughing mapping": "{% set ns = namespace(x={}) %}"
    + GROW
    + "{% set ns.x = {1: ns.x, 2: ns.x} %}{% endfor %}",
    "laughing dict": "{% set ns = namespace(x={}) %}"
    + GROW
    + "{% set ns.x = dict(a=ns.x, b=ns.x) %}{% endfor %}",
    "laughing namespace": "{% set ns = namespace(x=1) %}"
    + GROW
    + "{% set ns.x = namespace(a=ns.x, b=ns.x) %}{% endfor %}{{ ns.x|string }}",
    "printed namespace": "{{ '%s' % namespace(a=1) }}",
    "formatted namespace": "{{ '{}'.format(namespace(a=1)) }}",
    "namespace in a list": "{{ [namespace(a=1)] }}",
    "percent width": "{{ '%1000000000d' % 1 }}",
    "percent star": "{{ '%*d' % (1000000000, 1) }}",
    "format width": "{{ '{:1000000000}'.format(1) }}",
    "format nested width": "{{ '{:{}}'.format(1, 1000000000) }}",
    "center": "{{ 'a'.center(10**9) }}",
    "center filter": "{{ 'a'|center(10**9) }}",
    "ljust": "{{ 'a'.ljust(1000000000) }}",
    "zfill": "{{ 'a'.zfill(1000000000) }}",
    "expandtabs": "{{ '\\t'.expandtabs(1000000000) }}",
    "indent": "{{ 'a'|indent(1000000000, true) }}",
    "tojson indent": "{{ [1]|tojson(indent=1000000000) }}",
    "batch": "{{ 'a'|batch(1000000000, 'x')|list }}",
    "round": "{{ 1.5|round(1000000000) }}",
    "to_bytes": "{{ (1).to_bytes(1000000000, 'big') }}",
    "replace": "{% set a = 'a' * 100000 %}{{ a.replace('', a) }}",
    "replace filter": "{% set a = 'a' * 100000 %}{{ a|replace('', a) }}",
    "join": "{% set a = 'a' * 100000 %}{{ a.join(range(9999)|map('string')) }}",
    "join filter": "{% set a = 'a' * 100000 %}{{ range(9999)|join(a) }}",
    "date": "{{ strftime_now('%1000000000Y') }}",
    "compare": "{% set a = 'a' * 999999 %}{% for i in range(999) %}{{ a == a ~ 'b' }}{% endfor %}",
    "slice": "{% set a = 'a' * 999999 %}{% for i in range(999) %}{% set x = a[1:] %}{% endfor %}",
    "filter": "{% set a = 'a' * 999999 %}{% for i in range(999) %}{% set x = a|upper %}{% endfor %}",
    "brackets": "{{ " + "(" * 30_000 + "1" + ")" * 30_000 + " }}",
    "long sum": "{{ 1" + "+1" * 9_000 + " }}",
    "long path": "{{ a" + ".a" * 9_000 + " }}",
    "elif": "{% if 0 %}" + "{% elif 0 %}" * 5_000 + "{% endif %}",
    "not": "{{ " + "not " * 20_000 + "1 }}",
    "deep loops": "{% for a in [1] %}" * 300 + "{% endfor %}" * 300,
    "long": "x" * 200_000,
    "many nodes": "{{a}}" * 12_000,
    "digits": "{{ " + "9" * 100_000 + " }}",
}


@pytest.mark.parametrize("name", GREEDY)
def test_greedy_templates_are_stopped(name: str) -> None:
    began = time.process_time()
    with pytest.raises((ModelFileInvalid, InvalidInput)):
        render(GREEDY[name])
    assert time.process_time() - began < 5  # the slowest takes under a second on an idle machine


def test_greed_that_waits_for_messages_is_stopped() -> None:
    """The template behaves on the probes, and turns hostile on the tenth message."""
    template = load_template(
        "{% if messages|length > 9 %}{{ 'a' * 10**9 }}{% endif %}{{ messages[0].content }}", special_tokens=()
    )
    with pytest.raises(ModelFileInvalid, match="too much text"):
        template.render(Chat(CHAT.messages * 10))


ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__']['__mro__'] }}",
    "{{ ''|attr('__class__') }}",
    "{{ messages.__class__.__init__.__globals__ }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update(role='system') }}",
    "{{ messages[0].clear() }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context.environment }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__.os }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ namespace(__class__=1) }}",
    "{% set ns = namespace() %}{% set ns.__class__ = 1 %}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ raise_exception.__globals__.sys }}",
    "{{ strftime_now.__self__.budget }}",
    "{{ range.__class__.__base__ }}",
    "{{ dict.__base__.__subclasses__() }}",
    "{{ '{0.__class__.__mro__}'.format('') }}",
    "{{ '{a.__class__}'.format(a=messages) }}",
    "{{ '{x.__class__}'.format_map({'x': 1}) }}",
    "{{ [1]|map(attribute='__class__')|map(attribute='__mro__')|list }}",
    "{{ [messages]|map(attribute='__class__')|join }}",
    "{{ messages|selectattr('__class__')|list|length }}",
    "{{ messages|map('attr', '__class__')|list }}",
    "{% include '/etc/passwd' %}",
    "{% import '/etc/passwd' as x %}",
    "{% from '/etc/passwd' import x %}",
    "{% extends '/etc/passwd' %}",
    "{% block a %}{% endblock %}",
    "{{ environment.filters }}",
    "{% for x in [1] %}{{ loop.__init__.__globals__ }}{{ loop._iterable }}{% endfor %}",
    "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "{{ ''.join.__self__.__class__ }}",
    "{{ undefined_thing.__class__.__init__ }}",
    "{{ (1).__class__ }}",
    "{% autoescape true %}{% endautoescape %}",
    "{% set x = namespace.mro() %}",
    "{{ request.application.__globals__.__builtins__.__import__('os') }}",
]


@pytest.mark.parametrize("source", ESCAPES)
def test_nothing_internal_is_reached(source: str) -> None:
    """Such a template is refused, or writes nothing; never an object of Python's."""
    try:
        written = render(source)
    except (ModelFileInvalid, InvalidInput) as error:
        written = str(error)
        assert written.startswith("the chat template of model")
    else:
        assert written.strip("[]0, ").replace("Undefined", "") == ""
    assert "<class" not in written
    assert "object at 0x" not in written
    assert CHAT.messages == (Message("user", "안녕"),)


def reference(source: str, variables: dict[str, object]) -> str:
    """The same template in Jinja's plain sandbox, configured as the templates' authors know it."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(
        value, ensure_ascii=False, indent=indent
    )
    return environment.from_string(source).render(**variables)


HONEST = [
    "{% for m in messages %}\n  {{ loop.index0 }}{{ m['role'] ~ ':' }} {{- m.content | trim }}\n"
    "{% endfor %}\n",
    "{{ messages[-1].content[1:] }}{{ messages[::-1][0]['role'] }}{{ messages[:1]|length }}",
    "{% set ns = namespace(n=0, s='') %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
    "{% set ns.s = m.role + ns.s %}{% endfor %}{{ ns.n }}{{ ns.s }}",
    "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.content }}{% break %}"
    "{% endfor %}",
    "{% macro f(x, y='d') %}[{{ x }}{{ y }}{{ caller() if caller }}]{% endmacro %}{{ f(1) }}"
    "{% call f(2) %}c{% endcall %}",
    "{% for k, v in {'b': 1, 'a': [1, 2.5, none, true]} | dictsort %}{{ k }}={{ v }};{% endfor %}",
    "{{ ['a', 'B'] | map('upper') | list }}{{ [3, 1] | sort | join(', ') }}",
    "{{ [1, 2] | select('odd') | list }}",
    "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join('|') }}",
    "{{ {'a': '<b> & \"한\"'} | tojson }}{{ [1, {'x': none}] | tojson(indent=2) }}",
    "{{ 'a-b-c'.split('-')[-1] }}{{ 'abc'.replace('b', '<') }}{{ ' x '.strip() }}{{ 'aXb'.lower().title() }}",
    "{{ 'ab' * 2 }}{{ 7 // 2 }}{{ 7 % 4 }}{{ 2 ** 5 }}{{ 1 / 4 }}{{ -3 | abs }}{{ '%02d|%s' % (3, 'x') }}",
    "{{ '{:>4}|{a}'.format(1, a='z') }}{{ 'x' in 'xyz' }}{{ 3 not in [1, 2] }}{{ 1 < 2 < 3 }}",
    "{{ missing | default('d') }}{{ missing is defined }}{{ messages is iterable }}",
    "{{ 'a' is string }}{{ missing }}",
    "{% set t %}a{{ 1 }}b{% endset %}{{ t | length }}{% filter upper %}x{{ 'y' }}{% endfilter %}",
    "{% for m in messages recursive %}{{ m.role[0] }}{% endfor %}{% for x in [] %}{% else %}none{% endfor %}",
    "{% for m in messages if m.role == 'user' %}{{ loop.length }}{{ loop.last }}"
    "{{ loop.revindex }}{% endfor %}",
    "{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined }}{{ loop.cycle('x', 'y') }}"
    "{% endfor %}",
    "{% set a, b = 1, (2, 3) %}{{ a }}{{ b }}{{ range(3) | list }}{{ dict(x=1) }}{{ [1] + [2] }}",
    "{{ ('a' if true else 'b') ~ 1 ~ none }}{{ messages[0].get('x', 'q') }}",
    "{{ messages[0].items() | list | length }}",
    "{{ 'a,b' | replace(',', ';') }}{{ 'x\ny' | indent(2) }}{{ 2.567 | round(1) }}",
    "{{ '5' | int + 1 }}{{ [2, 1] | first }}",
    "{{ 'Ab' | capitalize | upper | title | trim }}{{ ['a', 'a'] | unique | list }}",
    "{{ 'abc' | reverse }}{{ 1 | string }}",
    "{# comment #}{{ '{{ }}' }}{% raw %}{{ x }}{% endraw %}{%- if not tools %} none {%- endif -%} end",
]


@pytest.mark.parametrize("source", HONEST)
def test_honest_templates_render_as_in_plain_jinja(source: str) -> None:
    chat = Chat(
        (
            Message("system", " s "),
            Message("user", "안녕 <x>"),
            Message("assistant", "네"),
            Message("user", "b"),
        )
    )
    template = JinjaTemplate(source, name="t", style="plain")
    variables = {"messages": [{"role": m.role, "content": m.content} for m in chat.messages]}
    assert template._run(chat, True) == reference(source, variables)


def test_date_comes_from_the_clock_given() -> None:
    template = JinjaTemplate(
        "{{ strftime_now('%d %b %Y %-d %%') }}", name="t", style="plain", now=lambda: datetime(2026, 3, 9)
    )
    assert template.render(CHAT).text == "09 Mar 2026 9 %"


def test_generation_tags_are_ignored() -> None:
    source = "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
    assert render(source) == "안녕"


def test_ascii_json_is_offered() -> None:
    assert render("{{ messages[0].content | tojson(ensure_ascii=true) }}") == '"\\uc548\\ub155"'


def test_special_tokens_are_variables() -> None:
    template = load_template(
        "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}",
        special_tokens=(),
        bos_token="<s>",
        eos_token="</s>",
    )
    assert template.render(CHAT).text == "<s>안녕</s>"


def test_an_opened_thought_is_found() -> None:
    source = (
        "{{ messages[0].content }}{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
    )
    template = load_template(source, special_tokens=())
    assert template.render(CHAT).prefix == "<think>\n"
    assert template.render(CHAT, add_generation_prompt=False).prefix == ""


def test_a_user_cannot_open_a_thought() -> None:
    template = load_template("{% if false %}<think>{% endif %}{{ messages[0].content }}", special_tokens=())
    assert template.render(Chat((Message("user", "<think>\n"),))).prefix == ""


def test_long_conversations_fit_the_budget() -> None:
    """Two thousand messages, and one message of two megabytes: legitimate, if large."""
    template = load_template(
        "{% for m in messages %}{% for c in m.tool_calls or [] %}{% endfor %}"
        "{{ '<|' + m.role + '|>' + m.content | trim }}{% endfor %}"
        "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}",
        special_tokens=(),
    )
    many = Chat((Message("user", "질문"), Message("assistant", "답")) * 1000, tools=(Tool("f"),) * 100)
    assert template.render(many).text.count("<|user|>") == 1000
    assert len(template.render(Chat((Message("user", "가" * 2_000_000),))).text) > 2_000_000
