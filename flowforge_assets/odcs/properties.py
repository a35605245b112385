"""A column as a property of the standard, and back. Options the standard has no word for stand in a custom property."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flowforge_assets.column_types.parse import parse_type
from flowforge_checks.odcs.metrics import Written, whole_pattern
from flowforge_checks.odcs.quality import EXTRA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LOGICAL = {
    "text": "string",
    "json": "string",
    "integer": "integer",
    "decimal": "number",
    "float": "number",
    "boolean": "boolean",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
}
_EXACT = re.compile(r"(?:DECIMAL|NUMERIC|NUMBER)\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)", re.IGNORECASE)
_FORMATS = {"email": "email", "uuid": "uuid", "uri": "url", "hostname": "hostname", "ipv4": "ipv4", "ipv6": "ipv6"}


def to_property(column: Mapping[str, Any], keys: Sequence[str], required: frozenset[str]) -> Written:
    """A column, as YAML has it, as a property.

    Args:
        column: its attributes.
        keys: the table's key columns.
        required: columns that a rule keeps from being null, beside the keys.
    """
    name, written = column["name"], column.get("type", "text")
    kind = written.partition("(")[0]
    found: Written = {
        "name": name,
        "logicalType": _LOGICAL[kind],
        "physicalType": parse_type(written).sql_type,
        **({"description": column["description"]} if column.get("description") else {}),
        **({"required": True} if name in keys or name in required else {}),
        **({"primaryKey": True, "primaryKeyPosition": keys.index(name) + 1} if name in keys else {}),
        **({"classification": "pii"} if column.get("pii") else {}),
    }
    back, _ = from_property(found, [])
    extra = {option: value for option, value in column.items() if back.get(option) != value}
    extra |= {option: None for option in back if option not in column}
    if extra:
        found["customProperties"] = [{"property": EXTRA, "value": extra}]
    return found


def from_property(given: Mapping[str, Any], not_taken: list[str]) -> tuple[Written, list[Written]]:
    """A property as a column, and the rules that its type's options state. What is not taken is added to the list."""
    name = given["name"]
    extra: Written = next((one["value"] for one in given.get("customProperties", ()) if one["property"] == EXTRA), {})
    kind = _type(given, not_taken)
    column: Written = {
        "name": name,
        **({"type": kind} if kind != "text" else {}),
        **({"pii": True} if str(given.get("classification", "")).lower() in ("pii", "personal", "sensitive") else {}),
        **({"description": given["description"]} if given.get("description") else {}),
    }
    taken = {"name", "logicalType", "physicalType", "description", "required", "primaryKey", "primaryKeyPosition"}
    taken |= {"classification", "customProperties", "logicalTypeOptions", "quality", "unique"}
    not_taken += [f"`{field}` of property {name}" for field in given if field not in taken]
    not_taken += [
        f"custom property `{one['property']}` of property {name}"
        for one in given.get("customProperties", ())
        if one["property"] != EXTRA
    ]
    column |= extra
    rules = _rules_of_options(name, given.get("logicalTypeOptions") or {}, not_taken)
    return {option: value for option, value in column.items() if value is not None}, rules


def _type(given: Mapping[str, Any], not_taken: list[str]) -> str:
    name, logical, physical = given["name"], given.get("logicalType"), str(given.get("physicalType", ""))
    if found := _EXACT.fullmatch(physical.strip()):
        return f"decimal({found[1]},{found[2] or 0})" if found[2] not in (None, "0") else f"decimal({found[1]},0)"
    if logical in ("object", "array"):
        not_taken.append(f"the inner structure of property {name}, which became the type json")
        return "json"
    if logical == "number" or (logical is None and re.match("(?i)double|float|real", physical)):
        if logical == "number" and not re.match("(?i)double|float|real", physical):
            not_taken.append(f"the precision of property {name}, which none is stated of; it became float")
        return "float"
    known = {"integer": "integer", "boolean": "boolean", "date": "date", "time": "time", "timestamp": "timestamp"}
    if logical is None and (word := re.match("(?i)(bigint|int|boolean|date|timestamp|time)", physical)):
        return {"bigint": "integer", "int": "integer"}.get(word[1].lower(), word[1].lower())
    return known.get(str(logical), "text")


def _rules_of_options(name: str, options: Mapping[str, Any], not_taken: list[str]) -> list[Written]:
    rest = dict(options)
    low, high = rest.pop("minimum", None), rest.pop("maximum", None)
    above, below = rest.pop("exclusiveMinimum", None), rest.pop("exclusiveMaximum", None)
    rules: list[Written] = []
    if any(one is not None for one in (low, high, above, below)):
        said = {"min": low if low is not None else above, "max": high if high is not None else below}
        said |= {"exclusive_min": True if low is None and above is not None else None}
        said |= {"exclusive_max": True if high is None and below is not None else None}
        rules.append({"rule": "range", "column": name, **{k: v for k, v in said.items() if v is not None}})
    shortest, longest = rest.pop("minLength", None), rest.pop("maxLength", None)
    if shortest is not None or longest is not None:
        said = {"min": shortest, "max": longest}
        rules.append({"rule": "length", "column": name, **{k: v for k, v in said.items() if v is not None}})
    if (pattern := rest.pop("pattern", None)) is not None:
        rules.append({"rule": "matches", "column": name, "pattern": whole_pattern(pattern)})
    if rest.get("format") in _FORMATS:
        rules.append({"rule": "format", "column": name, "is_a": _FORMATS[rest.pop("format")]})
    not_taken += [f"`logicalTypeOptions.{option}: {value}` of property {name}" for option, value in rest.items()]
    return rules
