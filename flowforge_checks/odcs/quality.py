"""A rule as a quality entry of the standard, and back.

What a metric of the standard's library says, is said by it; what SQL can say, by `sql`, so that other tools can run it;
the rest is `custom`, of the engine `flowforge`. What an entry cannot say (`action`, `owner`, …) stands in its custom
property `flowforge`: found by reading the entry back and comparing, so that the way there and back loses nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from flowforge_checks.odcs.metrics import NotTakenError, Written, at_most, metric_of, rule_of_metric
from flowforge_checks.rules import AnyRule, Rule
from flowforge_resources.duck import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

ENGINE = EXTRA = "flowforge"
_RULE: TypeAdapter[Rule] = TypeAdapter(AnyRule)
_DIMENSIONS = {
    "completeness": ("not_null", "not_blank", "null_rate", "at_least_one_not_null", "exactly_one_not_null"),
    "uniqueness": ("unique",),
    "consistency": (
        "references",
        "compare",
        "determines",
        "no_pair",
        "one_spelling",
        "near_median",
        "distribution_like",
    ),
    "conformity": ("format", "type", "matches", "allowed_values", "forbidden_values", "length", "schema_is"),
    "timeliness": ("fresh_within",),
    "coverage": ("row_count", "row_count_change", "no_gaps", "distinct_count"),
}
_AS_SQL = (
    "range",
    "length",
    "forbidden_values",
    "allowed_values",
    "matches",
    "not_null",
    "not_blank",
    "compare",
    "at_least_one_not_null",
    "exactly_one_not_null",
    "expression",
    "references",
)
_OPERATORS = {
    "mustBe": "=",
    "mustNotBe": "<>",
    "mustBeGreaterThan": ">",
    "mustBeGreaterOrEqualTo": ">=",
    "mustBeLessThan": "<",
    "mustBeLessOrEqualTo": "<=",
}


def to_quality(written: Mapping[str, Any]) -> tuple[str | None, Written]:
    """A rule, as YAML has it, as a quality entry; and the property it belongs to, if it is about one."""
    rule = _RULE.validate_python(dict(written))
    entry: Written = {
        "name": rule.check_name,
        **({"description": rule.description} if rule.description else {}),
        "dimension": next((name for name, kinds in _DIMENSIONS.items() if rule.rule in kinds), "accuracy"),
        **({"severity": "warning"} if rule.severity == "warn" else {"severity": "error"}),
    }
    about, said = _said(rule)
    entry |= said
    try:
        back = from_quality(entry, about)
    except NotTakenError:
        back = {}
    extra = {name: value for name, value in written.items() if back.get(name) != value}
    extra |= {name: None for name in back if name not in written}
    if extra and entry.get("type") == "sql":
        extra = {**extra, **written}
    if extra:
        entry["customProperties"] = [{"property": EXTRA, "value": extra}]
    return about, entry


def _said(rule: Rule) -> tuple[str | None, Written]:
    """The type of entry that says it best, and the property it is about."""
    raw = rule.model_dump(exclude_unset=True, mode="json")
    column = raw.get("column") or None
    if metric := metric_of(rule, raw):
        of_table = metric["metric"] == "rowCount" or len(raw.get("columns", ())) > 1
        return (None if of_table else rule.columns_read[0]), metric
    if rule.rule in _AS_SQL and not raw.get("for_each_column"):
        return column, {"type": "sql", "query": _query(rule), **at_most(rule)}
    if rule.rule == "sql" and not rule.tables_read:
        query = f"SELECT count(*) FROM ({raw['sql'].replace('{table}', '{object}')})"
        return None, {"type": "sql", "query": query, **at_most(rule)}
    return column, {"type": "custom", "engine": ENGINE, "implementation": dict(raw)}


def _query(rule: Rule) -> str:
    others = {name: quote(name) for name in rule.tables_read}
    return f"SELECT count(*) FROM {{object}} WHERE {' '.join(rule.broken(others).split())}"


def from_quality(entry: Mapping[str, Any], about: str | None) -> Written:
    """A quality entry as a rule, as YAML has it.

    Raises:
        NotTakenError: no rule says it.
    """
    extra: Written = next((one["value"] for one in entry.get("customProperties", ()) if one["property"] == EXTRA), {})
    kind = entry.get("type", "library")
    try:
        written = _READERS[kind](entry, about, extra)
    except KeyError as error:
        raise NotTakenError(f"it lacks {error}") from None
    named = {} if "name" not in entry or _named_alike(written, entry["name"]) else {"name": _name(str(entry["name"]))}
    told = {"description": entry["description"]} if entry.get("description") else {}
    shown = {"severity": "warn"} if str(entry.get("severity", "")).lower() in ("warn", "warning", "info") else {}
    all_of_it = {**written, **named, **told, **shown, **extra}
    found = {name: value for name, value in all_of_it.items() if value is not None}
    try:
        _RULE.validate_python(found)
    except ValidationError as error:
        raise NotTakenError(str(error.errors(include_url=False)[0]["msg"])) from None
    return found


def _named_alike(written: Written, name: str) -> bool:
    try:
        return _RULE.validate_python(written).check_name == name
    except ValidationError:
        return False


def _name(given: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "_", given).strip("_") or "rule"


def _from_library(entry: Mapping[str, Any], about: str | None, extra: Mapping[str, Any]) -> Written:
    del extra
    return rule_of_metric(entry, about)


def _from_sql(entry: Mapping[str, Any], about: str | None, extra: Mapping[str, Any]) -> Written:
    """Ours, where the query is still the one of the rule beside it; else a query that returns no row where it holds."""
    if extra.get("rule") and (ours := _RULE.validate_python({k: v for k, v in extra.items() if v is not None})):
        if _said(ours)[1].get("query") == entry["query"]:
            return {}
        raise NotTakenError("its query is another than that of the FlowForge rule beside it; remove one of the two")
    query = entry["query"].replace("${table}", "{object}").replace("${column}", "{property}").strip().rstrip(";")
    if about:
        query = query.replace("{property}", quote(about))
    if "{object}" not in query:
        raise NotTakenError("its query does not say `{object}` for the table")
    query = query.replace("{object}", "{table}")
    if "mustBeBetween" in entry:
        holds = "BETWEEN {} AND {}".format(*entry["mustBeBetween"])
    elif "mustNotBeBetween" in entry:
        holds = "NOT BETWEEN {} AND {}".format(*entry["mustNotBeBetween"])
    else:
        operator = next(one for one in _OPERATORS if one in entry)
        value = entry[operator]
        holds = f"{_OPERATORS[operator]} {str(value).upper() if isinstance(value, bool) else value!r}"
    sql = f"SELECT * FROM ({query}) AS asked(answer) WHERE (answer {holds}) IS NOT TRUE"
    return {
        "rule": "sql",
        "name": _name(str(entry.get("name") or entry.get("id") or f"sql_{about or 'table'}")),
        "sql": sql,
    }


def _from_custom(entry: Mapping[str, Any], about: str | None, extra: Mapping[str, Any]) -> Written:
    del about, extra
    if entry["engine"] != ENGINE:
        raise NotTakenError(f"it is for the engine '{entry['engine']}'")
    if not isinstance(entry["implementation"], dict):
        raise NotTakenError("its implementation is no rule of ours")
    return dict(entry["implementation"])


def _from_text(entry: Mapping[str, Any], about: str | None, extra: Mapping[str, Any]) -> Written:
    del about, extra
    raise NotTakenError(f"it is text for people: {entry.get('description', '')}")


_READERS = {"library": _from_library, "sql": _from_sql, "custom": _from_custom, "text": _from_text}
