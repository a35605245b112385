"""A table's attributes, as YAML has them, as an ODCS document, and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flowforge_assets.odcs.properties import from_property, to_property
from flowforge_checks.odcs.metrics import NotTakenError, Written
from flowforge_checks.odcs.official import API_VERSION
from flowforge_checks.odcs.quality import EXTRA, from_quality, to_quality

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SAID = ("name", "description", "columns", "keys", "rules", "owners", "freshness", "tags")


def to_contract(attributes: Mapping[str, Any], workflow: str, server: Written, version: str) -> Written:
    """One table as a contract.

    Args:
        attributes: the table's, as YAML has them.
        workflow: it becomes the contract's domain.
        server: where the table lies, as the standard names servers.
        version: of the contract.
    """
    name, keys = attributes["name"], list(attributes.get("keys", []))
    entries = [to_quality(rule) for rule in attributes.get("rules", [])]
    not_null = frozenset(
        rule["column"]
        for rule in attributes.get("rules", [])
        if rule["rule"] == "not_null" and rule.get("column") and not {"where", "warn_above", "error_above"} & set(rule)
    )
    properties = [to_property(column, keys, not_null) for column in attributes["columns"]]
    by_name = {one["name"]: one for one in properties}
    of_table: list[Written] = []
    for place, (about, entry) in enumerate(entries):
        # Their order is the order in which a row's reasons are told, and which standard has no place for.
        entry["id"] = f"rule_{place}"
        (by_name[about].setdefault("quality", []) if about in by_name else of_table).append(entry)
    described = {"description": attributes["description"]} if attributes.get("description") else {}
    rest = {field: value for field, value in attributes.items() if field not in _SAID}
    table: Written = {
        "name": name,
        "logicalType": "object",
        "physicalType": "table",
        **described,
        **({"tags": [f"{key}:{value}" for key, value in attributes["tags"].items()]} if attributes.get("tags") else {}),
        "properties": properties,
        **({"quality": of_table} if of_table else {}),
        **({"customProperties": [{"property": EXTRA, "value": rest}]} if rest else {}),
    }
    contract: Written = {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": f"{workflow}.{name}",
        "name": name,
        "version": version,
        "status": "active",
        "domain": workflow,
        **({"description": {"purpose": attributes["description"]}} if described else {}),
        "servers": [server],
        "schema": [table],
    }
    if owners := attributes.get("owners"):
        contract["team"] = {"members": [{"username": owner, "role": "owner"} for owner in owners]}
    if freshness := attributes.get("freshness"):
        contract["slaProperties"] = _sla(freshness, name)
    return contract


def _sla(freshness: Mapping[str, Any], table: str) -> list[Written]:
    found: list[Written] = []
    if hours := freshness.get("fail_after_hours"):
        found.append({"property": "latency", "value": hours, "unit": "h", "element": table})
    if hours := freshness.get("warn_after_hours"):
        found.append({"property": "latencyWarning", "value": hours, "unit": "h", "element": table})
    if cron := freshness.get("deadline_cron"):
        found.append(
            {
                "property": "timeOfAvailability",
                "value": freshness["lower_bound_hours"],
                "unit": "h",
                "element": table,
                "scheduler": "cron",
                "schedule": cron,
                "description": freshness.get("timezone", "UTC"),
            }
        )
    return found


def from_contract(contract: Mapping[str, Any]) -> tuple[list[Written], list[str]]:
    """The tables of a contract as attributes, and all that was not taken, in words."""
    not_taken = [f"`{field}`" for field in contract if field not in _OF_CONTRACT]
    not_taken += [
        f"server '{one.get('server', '?')}': the lake is a setting of the deployment"
        for one in contract.get("servers", ())
        if one.get("server") != "lake"
    ]
    told = contract.get("description") or {}
    not_taken += [f"`description.{field}`" for field in told if field != "purpose"]
    owners = _owners(contract, not_taken)
    tables = []
    for one in contract.get("schema", ()):
        attributes = _table(one, not_taken)
        purpose = {"description": told["purpose"]} if told.get("purpose") and "description" not in attributes else {}
        freshness = _freshness(contract, one["name"])
        tables.append(_ordered({**attributes, **purpose, **({"owners": owners} if owners else {}), **freshness}))
    names = {one["name"] for one in contract.get("schema", ())}
    not_taken += [
        f"SLA `{sla['property']}`"
        for sla in contract.get("slaProperties", ())
        if sla["property"] not in _SLAS
        or (sla.get("element") or next(iter(names), "")) not in names
        or sla.get("unit", "h") not in _HOURS
    ]
    return tables, not_taken


_OF_CONTRACT = (
    *("apiVersion", "kind", "id", "name", "version", "status", "domain", "description", "servers", "schema", "team"),
    "slaProperties",
)
_SLAS = ("latency", "latencyWarning", "timeOfAvailability")
_HOURS = {"h": 1.0, "hr": 1.0, "hours": 1.0, "d": 24.0, "day": 24.0, "days": 24.0, "m": 1 / 60, "minutes": 1 / 60}
_FIRST = (
    "name",
    "description",
    "owners",
    "tags",
    "freshness",
    "files",
    "columns",
    "keys",
    "sequence_by",
    "strategy",
    "rules",
)


def _ordered(attributes: Written) -> Written:
    known = [field for field in _FIRST if field in attributes]
    return {field: attributes[field] for field in [*known, *(one for one in attributes if one not in known)]}


def _owners(contract: Mapping[str, Any], not_taken: list[str]) -> list[str]:
    team = contract.get("team") or {}
    members: Sequence[Mapping[str, Any]] = team if isinstance(team, list) else team.get("members", ())
    owners = [str(one["username"]) for one in members if str(one.get("role", "")).lower() in ("owner", "data owner")]
    valid = [one for one in owners if "@" in one or one.startswith("team:")]
    not_taken += [f"team member '{one['username']}'" for one in members if one["username"] not in valid]
    if isinstance(team, dict):
        not_taken += [f"`team.{field}`" for field in team if field != "members"]
    return valid


def _freshness(contract: Mapping[str, Any], table: str) -> Written:
    found: Written = {}
    for sla in contract.get("slaProperties", ()):
        hours = _HOURS.get(sla.get("unit", "h"))
        if sla["property"] not in _SLAS or sla.get("element", table) != table or hours is None:
            continue
        value = sla["value"] * hours if hours != 1 else sla["value"]
        if sla["property"] == "timeOfAvailability" and sla.get("schedule"):
            found |= {"deadline_cron": sla["schedule"], "lower_bound_hours": value}
            found |= {"timezone": sla["description"]} if sla.get("description", "UTC") != "UTC" else {}
        elif sla["property"] != "timeOfAvailability":
            found["fail_after_hours" if sla["property"] == "latency" else "warn_after_hours"] = value
    return {"freshness": found} if found else {}


def _table(given: Mapping[str, Any], not_taken: list[str]) -> Written:
    extra: Written = next((one["value"] for one in given.get("customProperties", ()) if one["property"] == EXTRA), {})
    known = ("name", "logicalType", "physicalType", "description", "tags", "properties", "quality", "customProperties")
    not_taken += [f"`{field}` of table {given['name']}" for field in given if field not in known]
    tags = dict(tag.split(":", 1) for tag in given.get("tags", ()) if ":" in tag)
    not_taken += [f"tag `{tag}` of table {given['name']}" for tag in given.get("tags", ()) if ":" not in tag]
    columns, entries, stated = [], [], []
    for one in given.get("properties", ()):
        column, rules = from_property(one, not_taken)
        columns.append(column)
        stated += rules
        entries += [(quality, one["name"]) for quality in one.get("quality", ())]
    entries += [(quality, None) for quality in given.get("quality", ())]
    rules = [*_rules(entries, not_taken), *stated]
    keys = sorted(
        (one for one in given.get("properties", ()) if one.get("primaryKey")),
        key=lambda one: one.get("primaryKeyPosition", -1),
    )
    names = [one["name"] for one in keys]
    rules += _of_flags(given, rules, names)
    table: Written = {"name": _table_name(given["name"], not_taken), "columns": columns}
    table |= {"description": given["description"]} if given.get("description") else {}
    table |= {"tags": tags} if tags else {}
    table |= {"keys": names} if names else {}
    table |= {"rules": rules} if rules else {}
    return {**table, **extra}


def _of_flags(given: Mapping[str, Any], rules: Sequence[Written], keys: Sequence[str]) -> list[Written]:
    """The rules that `required` and `unique` state where no quality entry does."""
    found: list[Written] = []
    not_null = {rule.get("column") for rule in rules if rule["rule"] in ("not_null", "not_blank")}
    unique = {tuple(rule["columns"]) for rule in rules if rule["rule"] == "unique" and not rule.get("columns_sql")}
    for one in given.get("properties", ()):
        if one.get("required") and one["name"] not in (*keys, *not_null):
            found.append({"rule": "not_null", "column": one["name"]})
        if one.get("unique") and (one["name"],) not in unique and [one["name"]] != list(keys):
            found.append({"rule": "unique", "columns": [one["name"]]})
    return found


def _rules(entries: Sequence[tuple[Mapping[str, Any], str | None]], not_taken: list[str]) -> list[Written]:
    """In the order their ids state, which is that of the YAML they came from."""
    found: list[tuple[int, Written]] = []
    for place, (entry, about) in enumerate(entries):
        named = entry.get("name") or entry.get("id") or entry.get("metric") or entry.get("type", "entry")
        try:
            rule = from_quality(entry, about)
        except NotTakenError as why:
            not_taken.append(f"quality '{named}'{f' of property {about}' if about else ''}: {why}")
            continue
        numbered = re.fullmatch(r"rule_(\d+)", str(entry.get("id", "")))
        found.append((int(numbered[1]) if numbered else 1_000_000 + place, rule))
        gone = [field for field in ("schedule", "scheduler", "method", "businessImpact", "tags") if field in entry]
        not_taken += [f"`{field}` of quality '{named}'" for field in gone]
    return [rule for _, rule in sorted(found, key=lambda one: one[0])]


def _table_name(given: str, not_taken: list[str]) -> str:
    name = re.sub(r"[^a-z0-9_]+", "_", given.lower()).strip("_")
    name = name if name[:1].isalpha() else f"t_{name}"
    if name != given:
        not_taken.append(f"the name '{given}', which became '{name}'")
    return name
