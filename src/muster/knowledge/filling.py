"""Filling in templates that a person wrote, which may hold up nothing and reach nothing.

Such a template only fills in: what calls, computes, sets or imports is refused before it is used.
What it takes to fill it in is counted, as one that loops over a loop over a loop would hold up the
server; so is what comes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import TracebackType
from typing import Any

from muster.domain.errors import Invalid
from muster.domain.plain import fence, few, plain_line
from muster.knowledge.prompts import FOLDER, named

_LONGEST = 200_000
"""Characters that one template may become."""
_MOST_STEPS = 100_000
_OF_A_FILTER = 100
"""Steps that a filter counts for, of which a long text takes 0.6 ms; anything else counts for one.

Counted is each time that a loop comes past it.
"""
_OWN = "built-in/"
_NEVER = "model."
"""How templates begin that nobody replaces: models are asked by muster's own words."""

_NODES = frozenset(
    {
        *("Template", "Output", "TemplateData", "If", "For", "Include"),
        *("Name", "Const", "Tuple", "List", "Getattr", "Getitem", "Filter", "Test"),
        *("And", "Or", "Not", "Compare", "Operand", "CondExpr"),
    }
)
_FILTERS = frozenset(
    {"capitalize", "d", "default", "fenced", "first", "last", "length", "line", "lower", "named"}
    | {"string", "trim", "upper"}
)
_TESTS = frozenset({"defined", "undefined", "none", "string", "mapping", "sequence", "number"})
_MAY = "it may fill in facts, and use if, for, include and the filters " + ", ".join(
    sorted(_FILTERS)
)


@dataclass(frozen=True, slots=True)
class Own:
    """A template that a person wrote, and what its file is called when something is wrong."""

    text: str
    file: str


def overridable() -> tuple[str, ...]:
    """The names of the files that may be replaced."""
    names = sorted(path.name for path in FOLDER.glob("*.j2"))
    return tuple(name for name in names if not name.startswith(_NEVER))


@dataclass
class _Steps:
    """What it takes to fill a template in, counted over all of its loops."""

    left: int = _MOST_STEPS

    def each(self, items: Iterable[Any], weight: int) -> Iterator[Any]:
        """The items, each for so many steps."""
        for item in items:
            self.left -= weight
            if self.left < 0:
                raise _TooMuch("it loops too often")
            yield item


class _TooMuch(Exception):
    """A template takes too long, or becomes too long."""


@dataclass
class Filling:
    """Muster's templates with some of a person's own in their place."""

    own: Mapping[str, Own]
    _environment: Any = field(init=False)

    def __post_init__(self) -> None:
        self._environment = _environment(self.own)

    def render(self, name: str, **facts: object) -> str:
        """As `prompts.render`, with bounds on what it takes.

        Raises:
            Invalid: a template of a person's own cannot be filled in; its file and line are named.
        """
        try:
            return self._filled(f"{name}.j2", facts)
        except Exception as error:
            file, line = self._place(error.__traceback__)
            if file:
                raise _invalid(file, line, str(error), "mend it, or take it away") from error
            if isinstance(error, _TooMuch):
                own = self.own.get(f"{name}.j2") or next(iter(self.own.values()))
                raise _invalid(own.file, 0, str(error), "make it shorter") from error
            raise

    def check(self, name: str) -> None:
        """Raise `Invalid` unless a template may be there, and does nothing but fill in."""
        own, known = self.own[name], overridable()
        if name not in known:
            raise Invalid(
                f"{own.file} is called as no template that can be replaced: '{plain_line(name)}'",
                hint=f"call it as one of {few(known, len(known))}",
            )
        jinja2: Any = import_module("jinja2")
        try:
            _refuse(self._environment.parse(own.text), own, name)
            self._environment.get_template(name)
        except jinja2.TemplateSyntaxError as error:
            raise _invalid(own.file, error.lineno, str(error.message), _MAY) from error
        except (RecursionError, SyntaxError, MemoryError) as error:
            raise _invalid(own.file, 0, "it is nested too deeply", _MAY) from error

    def _filled(self, name: str, facts: Mapping[str, object]) -> str:
        steps, pieces, length = _Steps(), list[str](), 0
        template = self._environment.get_template(name)
        for piece in template.generate({**facts, "_steps": steps}):
            pieces.append(piece)
            length += len(piece)
            if length > _LONGEST:
                raise _TooMuch(f"it becomes longer than {_LONGEST} characters")
        return "".join(pieces).strip("\n")

    def _place(self, trace: TracebackType | None) -> tuple[str, int]:
        """Which of a person's files an error came from, and its line; empty for none."""
        files = {own.file for own in self.own.values()}
        found = ("", 0)
        while trace is not None:
            name = trace.tb_frame.f_code.co_filename
            if name in files:
                found = (name, trace.tb_lineno)
            trace = trace.tb_next
        return found


def _environment(overrides: Mapping[str, Own]) -> Any:
    """Jinja2's sandbox over a person's templates, muster's own behind them."""
    jinja2: Any = import_module("jinja2")
    sandbox: Any = import_module("jinja2.sandbox")
    nodes: Any = import_module("jinja2.nodes")

    class Counted(sandbox.ImmutableSandboxedEnvironment):  # type: ignore[misc]
        """Counts the steps of every loop."""

        def _generate(self, source: Any, *args: Any, **kwargs: Any) -> Any:
            for loop in list(source.find_all(nodes.For)):
                weight = nodes.Const(_weight(loop, nodes))
                loop.iter = nodes.Filter(loop.iter, "_counted", [weight], [], None, None)
            return super()._generate(source, *args, **kwargs)

    def load(name: str) -> tuple[str, str, Callable[[], bool]] | None:
        own = overrides.get(name)
        return (own.text, own.file, lambda: True) if own else None

    built_in = jinja2.FileSystemLoader(FOLDER)
    loaders = [
        jinja2.FunctionLoader(load),
        jinja2.PrefixLoader({_OWN.rstrip("/"): built_in}),
        built_in,
    ]
    made = Counted(
        loader=jinja2.ChoiceLoader(loaders),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals.clear()
    made.filters |= {"line": plain_line, "fenced": fence, "named": named}
    made.filters["_counted"] = jinja2.pass_context(
        lambda context, items, weight: context["_steps"].each(items, weight)
    )
    return made


def _weight(loop: Any, nodes: Any) -> int:
    """The steps of coming past a loop's body once."""
    body = list(loop.find_all(nodes.Node))
    return len(body) + _OF_A_FILTER * sum(isinstance(node, nodes.Filter) for node in body)


def _refuse(tree: Any, own: Own, name: str) -> None:
    """Raise `Invalid` where a template does more than fill in."""
    nodes: Any = import_module("jinja2.nodes")
    for node in tree.find_all(nodes.Node):
        why = _fault(node, name, nodes)
        if why:
            raise _invalid(own.file, node.lineno, why, _MAY)


def _fault(node: Any, name: str, nodes: Any) -> str:
    kind = type(node).__name__
    if kind not in _NODES:
        return f"a template may not use '{kind.lower()}'"
    match kind:
        case "Filter":
            wrong = "" if node.name in _FILTERS else f"there is no filter '{node.name}'"
        case "Test":
            wrong = "" if node.name in _TESTS else f"there is no test '{node.name}'"
        case "For":
            wrong = "a loop may not be recursive" if node.recursive else ""
        case "Name":
            wrong = f"there is no fact '{node.name}'" if node.name.startswith("_") else ""
        case "Getitem":
            wrong = (
                "" if isinstance(node.arg, nodes.Const) else "only a name or number may be in []"
            )
        case "Include":
            given = node.template.value if isinstance(node.template, nodes.Const) else ""
            only = _OWN + name
            wrong = "" if given == only else f"it may include '{only}' alone"
        case _:
            wrong = ""
    return plain_line(wrong)


def _invalid(file: str, line: int, why: str, hint: str) -> Invalid:
    where = f"{file}, line {line}" if line else file
    return Invalid(f"{where}: {plain_line(why)}", hint=hint)
