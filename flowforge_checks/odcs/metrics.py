"""The metrics of the standard's library, as rules: which rule asks what a metric asks, and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowforge_checks.rules import Rule

Written = dict[str, Any]


class NotTakenError(Exception):
    """A quality entry has no equivalent among the rules; the text says why."""


def metric_of(rule: Rule, raw: Written) -> Written | None:
    """A metric that asks what a rule asks of every row; None where there is none.

    Args:
        rule: the rule.
        raw: its fields that are set.
    """
    if rule.where or raw.get("for_each_column") or rule.rule not in _METRICS:
        return None
    return _METRICS[rule.rule](rule, raw)


def _null_rate(rule: Rule, raw: Written) -> Written:
    del rule
    share = raw["max"]
    percent = float(share.rstrip("% ")) if isinstance(share, str) else 100 * share
    return {"metric": "nullValues", "mustBeLessOrEqualTo": percent, "unit": "percent"}


def _not_blank(rule: Rule, raw: Written) -> Written:
    missing = [None, "", *raw.get("markers", [])]
    return {"metric": "missingValues", "arguments": {"missingValues": missing}, **at_most(rule)}


def _allowed(rule: Rule, raw: Written) -> Written | None:
    if not raw.get("case_sensitive", True):
        return None
    return {"metric": "invalidValues", "arguments": {"validValues": raw["values"]}, **at_most(rule)}


def _matches(rule: Rule, raw: Written) -> Written | None:
    if not raw.get("case_sensitive", True) or raw.get("negate"):
        return None
    return {"metric": "invalidValues", "arguments": {"pattern": f"^(?:{raw['pattern']})$"}, **at_most(rule)}


def _unique(rule: Rule, raw: Written) -> Written | None:
    if raw.get("columns_sql"):
        return None
    several = {"arguments": {"properties": raw["columns"]}} if len(raw["columns"]) > 1 else {}
    return {"metric": "duplicateValues", **several, **at_most(rule)}


def _row_count(rule: Rule, raw: Written) -> Written | None:
    del rule
    low, high = raw.get("min"), raw.get("max")
    if low is None or high is None:
        bound = {"mustBeGreaterOrEqualTo": low} if high is None else {"mustBeLessOrEqualTo": high}
        return {"metric": "rowCount", **bound}
    return {"metric": "rowCount", "mustBeBetween": [low, high]} if low < high else None


_METRICS: dict[str, Callable[[Rule, Written], Written | None]] = {
    "not_null": lambda rule, _: {"metric": "nullValues", **at_most(rule)},
    "null_rate": _null_rate,
    "not_blank": _not_blank,
    "allowed_values": _allowed,
    "matches": _matches,
    "unique": _unique,
    "row_count": _row_count,
}


def at_most(rule: Rule) -> Written:
    """How many broken rows are valid: none, or as many as the rule tolerates before its check fails, or else warns."""
    warn, error = rule.tolerated
    most = error or warn
    if most is None:
        return {"mustBe": 0}
    number = int(most.value) if float(most.value).is_integer() else most.value
    return {"mustBeLessOrEqualTo": number, **({"unit": "percent"} if most.percent else {})}


def rule_of_metric(entry: Mapping[str, Any], about: str | None) -> Written:
    """The rule that asks what a library entry asks.

    Raises:
        NotTakenError: there is none.
    """
    metric = entry["metric"]
    if metric not in _RULES:
        raise NotTakenError(f"`metric: {metric}` is none of the standard's")
    if metric not in ("rowCount", "duplicateValues") and about is None:
        raise NotTakenError(f"`{metric}` belongs to a property")
    return _RULES[metric](entry, about, entry.get("arguments") or {})


def _of_row_count(entry: Mapping[str, Any], about: str | None, given: Mapping[str, Any]) -> Written:
    del about, given
    low, high = _bounds(entry)
    return {"rule": "row_count", **{name: value for name, value in (("min", low), ("max", high)) if value is not None}}


def _of_duplicates(entry: Mapping[str, Any], about: str | None, given: Mapping[str, Any]) -> Written:
    columns = list(given.get("properties") or ([about] if about else ()))
    if not columns:
        raise NotTakenError("it names no property")
    return {"rule": "unique", "columns": columns, **_tolerated(entry)}


def _of_nulls(entry: Mapping[str, Any], about: str | None, given: Mapping[str, Any]) -> Written:
    del given
    most = _bounds(entry)[1]
    if entry.get("unit") == "percent" and most:
        return {"rule": "null_rate", "column": about, "max": f"{most:g}%"}
    return {"rule": "not_null", "column": about, **_tolerated(entry)}


def _of_missing(entry: Mapping[str, Any], about: str | None, given: Mapping[str, Any]) -> Written:
    markers = [one for one in given.get("missingValues", ()) if one not in (None, "")]
    return {"rule": "not_blank", "column": about, **({"markers": markers} if markers else {}), **_tolerated(entry)}


def _of_invalid(entry: Mapping[str, Any], about: str | None, given: Mapping[str, Any]) -> Written:
    if "validValues" in given:
        return {"rule": "allowed_values", "column": about, "values": list(given["validValues"]), **_tolerated(entry)}
    if "pattern" in given:
        return {"rule": "matches", "column": about, "pattern": whole_pattern(given["pattern"]), **_tolerated(entry)}
    raise NotTakenError("`invalidValues` without `validValues` or `pattern`")


_RULES: dict[str, Callable[[Mapping[str, Any], str | None, Mapping[str, Any]], Written]] = {
    "rowCount": _of_row_count,
    "duplicateValues": _of_duplicates,
    "nullValues": _of_nulls,
    "missingValues": _of_missing,
    "invalidValues": _of_invalid,
}


def whole_pattern(pattern: str) -> str:
    """A pattern that is found in a text as one for the whole text, which `matches` wants."""
    if found := re.fullmatch(r"\^\(\?:(.*)\)\$", pattern):
        return found[1]
    if pattern.startswith("^") and pattern.endswith("$") and "|" not in pattern:
        return pattern[1:-1]
    return f"(?s).*(?:{pattern}).*"


def _bounds(entry: Mapping[str, Any]) -> tuple[Any, Any]:
    """Smallest and largest valid number, of whole numbers."""
    if "mustBeBetween" in entry:
        return entry["mustBeBetween"][0], entry["mustBeBetween"][1]
    if "mustBe" in entry:
        return entry["mustBe"], entry["mustBe"]
    step = 0 if entry.get("unit") == "percent" else 1
    known: dict[str, Callable[[Any], tuple[Any, Any]]] = {
        "mustBeGreaterOrEqualTo": lambda n: (n, None),
        "mustBeGreaterThan": lambda n: (n + step, None),
        "mustBeLessOrEqualTo": lambda n: (None, n),
        "mustBeLessThan": lambda n: (None, n - step),
    }
    for operator, bounds in known.items():
        if operator in entry:
            return bounds(entry[operator])
    raise NotTakenError("its operator has no equivalent")


def _tolerated(entry: Mapping[str, Any]) -> Written:
    low, most = _bounds(entry)
    if most is None or low not in (None, 0, most):
        raise NotTakenError("it asks for broken rows")
    if most == 0:
        return {}
    field = "warn_above" if str(entry.get("severity", "")).lower().startswith("warn") else "error_above"
    return {field: f"{most:g}%" if entry.get("unit") == "percent" else most}
