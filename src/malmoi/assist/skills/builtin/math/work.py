"""The sandbox's door to this skill: one function, plain values in and out."""

from typing import Any

from malmoi.assist.skills.builtin.math import algebra, analysis, arithmetic, geometry, units


def work(operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Work out an operation.

    Raises:
        Refused: it cannot be read, or is not worked out here.
        KeyError: there is no such operation.
    """
    todo: dict[str, Any] = {
        "calculate": arithmetic.calculate,
        "whole_numbers": arithmetic.whole_numbers,
        "statistics": arithmetic.statistics,
        "solve": algebra.solve,
        "rewrite": algebra.rewrite,
        "matrix": algebra.matrix,
        "derivative": analysis.derivative,
        "integral": analysis.integral,
        "limit": analysis.limit,
        "series": analysis.series,
        "distance": geometry.distance,
        "measure": geometry.measure,
        "convert_units": units.convert,
    }
    answer: dict[str, Any] = todo[operation](**arguments).to_json()
    return answer
