"""Equations, inequalities, forms of an expression, and matrices. Runs in the sandbox."""

from collections.abc import Sequence
from typing import Any

import sympy

from malmoi.assist.skills.builtin.math.answers import Answer, decimal, latex, readable, tex_figures, told
from malmoi.assist.skills.builtin.math.parsing import Relation, read, read_one
from malmoi.assist.skills.builtin.math.reading import plain_spelling
from malmoi.assist.skills.builtin.math.refused import Refused

_MOST_EQUATIONS = 10
_LARGEST_MATRIX = 8
_STARTS = (0.5, 1, -1, 2, -2, 3, 5, -5, 10, -10)


def solve(equations: Sequence[str], unknowns: Sequence[str] = ()) -> Answer:
    """The solutions of equations or inequalities.

    Args:
        equations: each with =, <, >, <= or >=; one without is taken as "= 0".
        unknowns: what to solve for; empty: all names that are found.
    """
    relations: list[Relation] = []
    names: list[str] = []
    for text in equations[: _MOST_EQUATIONS + 1]:
        reading = read(plain_spelling(text), unknowns)
        relations += [
            v if isinstance(v, Relation) else Relation("=", v, sympy.Integer(0)) for v in reading.values
        ]
        names += [name for name in reading.names if name not in names]
    if not relations or len(relations) > _MOST_EQUATIONS:
        raise Refused("too_many_equations", str(_MOST_EQUATIONS), field="equations")
    asked = list(unknowns or names)
    if missing := [name for name in asked if name not in names]:
        raise Refused("unknown_missing", ", ".join(missing), field="unknowns")
    if not asked:
        raise Refused("no_unknown", field="equations")
    symbols = [sympy.Symbol(name) for name in asked]
    if any(relation.sign != "=" for relation in relations):
        return _inequality(relations, symbols)
    if len(relations) == 1:
        return _equation(relations[0], symbols[0])
    return _system(relations, symbols)


def _equation(relation: Relation, symbol: Any) -> Answer:
    expression = (
        sympy.expand(relation.left - relation.right)
        if _is_small(relation)
        else relation.left - relation.right
    )
    shown = {"equation": f"{readable(relation.left)} = {readable(relation.right)}", "unknown": str(symbol)}
    if symbol not in expression.free_symbols:
        outcome = "always" if sympy.simplify(expression) == 0 else "never"
        return Answer(outcome, shown, {"solutions": [] if outcome == "never" else "all"}, r"\text{-}")
    steps = _steps(expression, symbol)
    about = False
    try:
        solutions = sympy.solve(expression, symbol, dict=False)
    except NotImplementedError:
        solutions, about = _near_zeros(expression, symbol), True
    solutions = [solution for solution in solutions if not solution.has(sympy.Piecewise)]
    if any(s.is_number and len(str(s)) > 80 for s in solutions):
        solutions, about = [s.evalf(15) for s in solutions], True
    if about and not solutions:
        raise Refused("not_solved", shown["equation"], field="equations")
    if not solutions:
        return Answer("no_solution", shown, {"solutions": []}, r"\varnothing", steps)
    listed = [told(solution) for solution in solutions]
    texts = [one["value"] + (f" ≈ {one['about']}" if one["about"] else "") for one in listed]
    data = {"unknown": str(symbol), "solutions": [one["value"] for one in listed]}
    if any(one["about"] for one in listed):
        data["decimals"] = [one["about"] or one["value"] for one in listed]
    remarks = ["no_real"] if all(s.is_number and s.is_real is False for s in solutions) else []
    if about:
        remarks.append("numeric")
    if expression.has(sympy.sin, sympy.cos, sympy.tan) and _is_periodic(expression, symbol):
        remarks.append("periodic")
    formula = r",\quad ".join(
        f"{symbol} = {tex_figures(one['value']) if s.has(sympy.CRootOf, sympy.Float) else latex(s)}"
        for s, one in zip(solutions, listed, strict=True)
    )
    joined = (f" , {symbol} = ").join(texts).replace(" , ", ", ")
    return Answer("solved", {**shown, "solutions": f"{symbol} = {joined}"}, data, formula, steps, remarks)


def _is_periodic(expression: Any, symbol: Any) -> bool:
    moved = expression.subs(symbol, symbol + 2 * sympy.pi)
    return bool(sympy.simplify(moved - expression) == 0)


def _is_small(relation: Relation) -> bool:
    return bool(relation.left.count_ops() + relation.right.count_ops() < 200)


def _steps(expression: Any, symbol: Any) -> list[tuple[str, dict[str, str]]]:
    """How a linear or quadratic equation is solved, with its own numbers put in."""
    if not expression.is_polynomial(symbol):
        return []
    polynomial = sympy.Poly(expression, symbol)
    degree = polynomial.degree()
    if degree == 1:
        a, b = polynomial.all_coeffs()
        formula = rf"{symbol} = -\frac{{b}}{{a}} = {latex(-b / a)} \quad (a={latex(a)},\ b={latex(b)})"
        return [("linear", {"latex": formula})]
    steps: list[tuple[str, dict[str, str]]] = []
    if degree == 2:
        a, b, c = polynomial.all_coeffs()
        discriminant = sympy.simplify(b**2 - 4 * a * c)
        put_in = rf"({latex(b)})^2 - 4 \cdot ({latex(a)}) \cdot ({latex(c)})"
        steps.append(("discriminant", {"latex": rf"D = b^2 - 4ac = {put_in} = {latex(discriminant)}"}))
        formula = (
            rf"{symbol} = \frac{{-b \pm \sqrt{{D}}}}{{2a}} = "
            rf"\frac{{{latex(-b)} \pm \sqrt{{{latex(discriminant)}}}}}{{{latex(2 * a)}}}"
        )
        steps.append(("quadratic", {"latex": formula}))
    factored = sympy.factor(expression)
    if degree >= 2 and factored.is_Mul and factored != expression:
        steps.insert(0, ("factored", {"latex": f"{latex(factored)} = 0"}))
    return steps


def _near_zeros(expression: Any, symbol: Any) -> list[Any]:
    """Real zeros found by numbers, from several starts."""
    found: list[Any] = []
    for start in _STARTS:
        try:
            zero = sympy.nsolve(expression, symbol, start)
        except (ValueError, ZeroDivisionError, TypeError):
            continue  # this start leads nowhere
        if zero.is_real and all(abs(zero - other) > 1e-8 for other in found):
            found.append(zero)
    return sorted(found)


def _system(relations: Sequence[Relation], symbols: Sequence[Any]) -> Answer:
    equations = [relation.left - relation.right for relation in relations]
    try:
        solutions = sympy.solve(equations, list(symbols), dict=True)
    except NotImplementedError:
        raise Refused("not_solved", ", ".join(map(readable, equations))[:80], field="equations") from None
    solutions = [{name: one[name] for name in symbols if name in one} for one in solutions]
    named = ", ".join(map(str, symbols))
    if not solutions:
        return Answer("no_solution_system", {"unknown": named}, {"solutions": []}, r"\varnothing")
    data = [{str(name): told(value)["value"] for name, value in one.items()} for one in solutions]
    texts = []
    for one in solutions:
        parts = []
        for name, value in one.items():
            shown = told(value)
            parts.append(f"{name} = {shown['value']}" + (f" ≈ {shown['about']}" if shown["about"] else ""))
        texts.append(", ".join(parts))
    free = [str(symbol) for symbol in symbols if any(symbol not in one for one in solutions)]
    formula = r"\quad ".join(
        r"\{" + r",\ ".join(f"{latex(name)} = {latex(value)}" for name, value in one.items()) + r"\}"
        for one in solutions
    )
    values = {"solutions": " / ".join(texts), "free": ", ".join(free)}
    return Answer("solved_system", values, {"solutions": data}, formula)


def _inequality(relations: Sequence[Relation], symbols: Sequence[Any]) -> Answer:
    if len(symbols) != 1:
        raise Refused("one_unknown", ", ".join(map(str, symbols)), field="equations")
    # The unknown of an inequality is real: its order is that of the real line.
    real = sympy.Symbol(str(symbols[0]), real=True)
    conditions = [relation.to_sympy().subs(symbols[0], real) for relation in relations]
    where = sympy.S.Reals
    try:
        for condition in conditions:
            if condition == sympy.true:
                continue
            where = sympy.S.EmptySet if condition == sympy.false else where & condition.as_set()
    except (NotImplementedError, AttributeError):
        raise Refused("not_solved", ", ".join(map(readable, conditions))[:80], field="equations") from None
    shown = {"unknown": str(real), "inequality": ", ".join(readable(c) for c in conditions)}
    if where == sympy.S.EmptySet:
        return Answer("no_solution_inequality", shown, {"solution": "none"}, r"\varnothing")
    if where == sympy.S.Reals:
        return Answer("all_reals", shown, {"solution": "all real numbers"}, r"\mathbb{R}")
    text = _range(where, str(real))
    return Answer(
        "solved_inequality", {**shown, "solution": text}, {"solution": text}, latex(where.as_relational(real))
    )


def _range(where: Any, name: str) -> str:
    if isinstance(where, sympy.Union):
        return " / ".join(_range(part, name) for part in where.args)
    if isinstance(where, sympy.FiniteSet):
        return ", ".join(f"{name} = {readable(value)}" for value in where)
    if not isinstance(where, sympy.Interval):
        return readable(where)
    low = "" if where.start == -sympy.oo else f"{readable(where.start)} {'<' if where.left_open else '≤'} "
    high = "" if where.end == sympy.oo else f" {'<' if where.right_open else '≤'} {readable(where.end)}"
    return f"{low}{name}{high}"


def rewrite(expression: str, form: str) -> Answer:
    """Another form of an expression: "simplify", "factor", "expand" or "apart" (partial fractions)."""
    value, _ = read_one(plain_spelling(expression))
    change = {
        "simplify": sympy.simplify,
        "factor": sympy.factor,
        "expand": sympy.expand,
        "apart": sympy.apart,
    }[form]
    try:
        changed = change(value)
    except (NotImplementedError, sympy.PolynomialError):
        raise Refused("not_rewritten", expression.strip()[:60], field="expression") from None
    formula = f"{latex(value)} = {latex(changed)}"
    text = readable(changed)
    return Answer(form, {"expression": expression.strip(), "value": text}, {"result": text}, formula)


def matrix(task: str, matrix: str, other: str = "") -> Answer:
    """What a matrix is asked for.

    Args:
        task: "determinant", "inverse", "eigenvalues", "rank", "transpose", "reduce", "multiply" or "add".
        matrix: rows in brackets, "[[1,2],[3,4]]", or set apart by semicolons, "1 2; 3 4".
        other: the second one, for "multiply" and "add".
    """
    first = _matrix(matrix)
    values: dict[str, Any] = {"matrix": _shown(first)}
    square = first.rows == first.cols
    if task in ("determinant", "inverse", "eigenvalues") and not square:
        raise Refused("not_square", f"{first.rows}×{first.cols}", field="matrix")
    if task == "determinant":
        value = sympy.simplify(first.det())
        steps = []
        if first.rows == 2:
            (a, b), (c, d) = first.tolist()
            put_in = rf"({latex(a)})({latex(d)}) - ({latex(b)})({latex(c)})"
            steps = [("formula", {"latex": rf"ad - bc = {put_in} = {latex(value)}"})]
        data = {"result": readable(value)}
        return Answer(
            task, {**values, "value": readable(value)}, data, rf"\det {latex(first)} = {latex(value)}", steps
        )
    if task == "rank":
        rank = int(first.rank())
        return Answer(
            task,
            {**values, "value": rank},
            {"result": rank},
            rf"\operatorname{{rank}} {latex(first)} = {rank}",
        )
    if task == "eigenvalues":
        return _eigenvalues(first, values)
    if task == "inverse":
        if first.det() == 0:
            return Answer("singular", values, {"result": None}, r"\det = 0")
        made, sign = first.inv(), r"^{-1}"
    elif task == "transpose":
        made, sign = first.T, r"^{T}"
    elif task == "reduce":
        made, sign = first.rref()[0], r" \to "
    else:
        second = _matrix(other)
        fits = first.cols == second.rows if task == "multiply" else first.shape == second.shape
        if not fits:
            sizes = f"{first.rows}×{first.cols}, {second.rows}×{second.cols}"
            raise Refused("sizes_differ", sizes, field="other")
        made = first * second if task == "multiply" else first + second
        sign = ("" if task == "multiply" else "+") + latex(second)
    text = _shown(made)
    rows = [[readable(cell) for cell in row] for row in made.tolist()]
    equals = "" if task == "reduce" else " = "
    return Answer(
        task, {**values, "value": text}, {"result": rows}, f"{latex(first)}{sign}{equals}{latex(made)}"
    )


def _eigenvalues(first: Any, values: dict[str, Any]) -> Answer:
    found = first.eigenvals()
    shown = []
    for value, count in found.items():
        one = told(value) if len(str(value)) < 60 else {"value": decimal(value), "about": ""}
        text = one["value"] + (f" ≈ {one['about']}" if one["about"] else "")
        shown.append(text + (f" (×{count})" if count > 1 else ""))
    name = sympy.Symbol("lambda")
    characteristic = sympy.factor(first.charpoly(name).as_expr())
    steps = [("characteristic", {"latex": f"{latex(characteristic)} = 0"})]
    formula = r",\ ".join(
        rf"\lambda = {latex(value) if len(str(value)) < 60 else decimal(value)}" for value in found
    )
    return Answer("eigenvalues", {**values, "value": ", ".join(shown)}, {"result": shown}, formula, steps)


def _matrix(text: str) -> Any:
    spelled = plain_spelling(text, thousands=False).strip()
    inner = spelled.removeprefix("[").removesuffix("]") if spelled.startswith("[[") else spelled
    if "[" in inner:
        rows = [row.strip(" ,[]") for row in inner.split("]") if row.strip(" ,[]")]
    else:
        rows = [row for row in inner.strip("()[]").split(";") if row.strip()]
    cells = [read(row if "," in row else ",".join(row.split())).values for row in rows]
    if not cells or len({len(row) for row in cells}) != 1:
        raise Refused("not_a_matrix", text.strip()[:60], field="matrix")
    if len(cells) > _LARGEST_MATRIX or len(cells[0]) > _LARGEST_MATRIX:
        raise Refused("matrix_too_large", str(_LARGEST_MATRIX), field="matrix")
    if any(isinstance(cell, Relation) for row in cells for cell in row):
        raise Refused("not_a_matrix", text.strip()[:60], field="matrix")
    return sympy.Matrix(cells)


def _shown(value: Any) -> str:
    return (
        "[" + ", ".join("[" + ", ".join(readable(cell) for cell in row) + "]" for row in value.tolist()) + "]"
    )
