"""Which rules are tried: of the YAML as it stands, of a file that is not deployed, or as written on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flowforge_assets.catalog import declared_workflows, find_table, workflows
from flowforge_assets.yaml_tables import attributes_of, spec_of
from flowforge_resources.errors import PermanentError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flowforge_assets.table_spec import TableSpec
    from flowforge_checks.rules import Rule


class BacktestError(PermanentError):
    """There is no rule to try, or no history to try it over."""


@dataclass(frozen=True)
class Wanted:
    """A table as it would be with the rules that are tried, and those rules."""

    spec: TableSpec
    rules: tuple[Rule, ...]


def wanted_rules(
    table: str,
    workflow: str | None,
    *,
    rule: object = None,
    file: Path | None = None,
    defs: Path | None = None,
) -> Wanted:
    """The rules to try of a table.

    Args:
        table: `orders` or `retail.orders`.
        workflow: where the name does not say it.
        rule: the name of one rule, or rules as YAML or JSON, as text or read: `{rule: range, column: price, min: 0}`.
        file: YAML with the changed table document, or with a list of rules that are added or replace others by name.
        defs: the folder of workflows.

    Raises:
        BacktestError: nothing is new in the file, no rule has that name, or it is no YAML.
        DefinitionError: a rule is wrong.
    """
    defs = defs or workflows()
    named = find_table(table, workflow, declared_workflows(defs))
    folder = defs / named.workflow
    now = spec_of(folder, named)
    written = _read(rule or "")
    if not isinstance(written, str):
        spec = spec_of(folder, named, [_with_rules(folder, named.name, written)])
        return Wanted(spec, _new(now.rules, spec.rules) or spec.rules[-len(written) :])
    spec, new = now, now.rules
    if file is not None:
        spec = spec_of(folder, named, [_changed(file, folder, named.name)])
        new = _new(now.rules, spec.rules)
        if not new and not written:
            raise BacktestError(f"{file} changes no rule of {named}. Name one of its rules with --rule.")
    return Wanted(spec, _named(written, spec.rules, str(named)) if written else tuple(new))


def moment(written: str) -> datetime:
    """A day or moment, UTC where it does not say otherwise.

    Raises:
        BacktestError: it is none.
    """
    try:
        read = datetime.fromisoformat(written)
    except ValueError:
        raise BacktestError(f"'{written}' is no day or moment. Write e.g. 2026-11-01 or 2026-11-01T12:00.") from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _read(rule: object) -> str | list[Any]:
    """The name of a rule; or rules as written: one, a list, or a list under `rules`."""
    import yaml

    try:
        read = yaml.safe_load(rule) if isinstance(rule, str) and not _is_name(rule) else rule
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise BacktestError(
            f"the rule cannot be read: {said}. Write it as in the workflow's YAML, or as JSON."
        ) from None
    if isinstance(read, str):
        return read.strip()
    rules = read.get("rules", [read]) if isinstance(read, dict) else read
    if not isinstance(rules, list) or not rules:
        raise BacktestError(
            f"'{rule}' is no rule. Write e.g. `{{rule: range, column: price, min: 0}}`, or a rule's name."
        )
    return rules


def _is_name(written: str) -> bool:
    return not written.strip() or written.strip().isidentifier()


def _named(name: str, rules: Sequence[Rule], table: str) -> tuple[Rule, ...]:
    found = tuple(rule for rule in rules if rule.check_name == name)
    if not found:
        near = did_you_mean(name, [rule.check_name for rule in rules])
        raise BacktestError(f"{table} has no rule '{name}'.{near} A rule that is not declared yet is given as YAML.")
    return found


def _new(before: Sequence[Rule], after: Sequence[Rule]) -> tuple[Rule, ...]:
    return tuple(rule for rule in after if rule not in before)


def _changed(file: Path, folder: Path, table: str) -> dict[str, Any]:
    """The attributes of the table as a file has them."""
    import yaml

    documents: list[Any] = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    for one in documents:
        if isinstance(one, dict) and (one.get("attributes") or {}).get("name") == table:
            attributes: dict[str, Any] = one["attributes"]
            return attributes
    rules = documents[0].get("rules") if documents and isinstance(documents[0], dict) else documents and documents[0]
    if not isinstance(rules, list):
        raise BacktestError(
            f"{file} has neither a document of the table '{table}' nor a list of rules. Write `rules:` and the rules below it."
        )
    return _with_rules(folder, table, rules)


def _with_rules(folder: Path, table: str, rules: Sequence[Any]) -> dict[str, Any]:
    """The table's attributes with more rules; one of the same name takes the other's place."""
    attributes = attributes_of(folder, table)
    new = {_name_of(rule) for rule in rules}
    kept = [rule for rule in attributes.get("rules") or [] if _name_of(rule) not in new]
    return {**attributes, "rules": [*kept, *rules]}


def _name_of(rule: Any) -> str:
    """The check's name of a rule as written; nothing of one that is none, which is refused where it is read."""
    from pydantic import TypeAdapter, ValidationError

    from flowforge_checks.rules import AnyRule

    try:
        read: Rule = TypeAdapter(AnyRule).validate_python(rule)
    except ValidationError:
        return ""
    return read.check_name
