"""What each strategy must make of a history, the slow and obvious way: all events in order, applied one by one.

An event is a dict of a key, values, a sequence (a tuple of integers or None) and an operation. Its place in the list
is its arrival. The tables these functions return depend on the events alone, not on batches.
"""

from __future__ import annotations

from typing import Any

Event = dict[str, Any]
VALUES, DELETE, TRUNCATE = "values", "delete", "truncate"


def in_order(events: list[Event]) -> list[Event]:
    """By sequence, null first; equal ones as they arrived (sorting keeps their order)."""
    return sorted(events, key=lambda event: [(part is not None, part or 0) for part in event["sequence"]])


def upserted(events: list[Event], columns: list[str], ignored: tuple[str, ...] = ()) -> dict[Any, dict[str, Any]]:
    """SCD type 1: the newest values of each key; a null of an ignored column says nothing."""
    table: dict[Any, dict[str, Any]] = {}
    for event in in_order(events):
        key = event["key"]
        if event["operation"] == TRUNCATE:
            table.clear()
        elif event["operation"] == DELETE:
            table.pop(key, None)
        else:
            before = table.get(key, dict.fromkeys(columns))
            table[key] = {
                name: before[name] if name in ignored and event[name] is None else event[name] for name in columns
            }
    return table


def versions(
    events: list[Event], columns: list[str], tracked: list[str], ignored: tuple[str, ...] = ()
) -> dict[Any, list[dict[str, Any]]]:
    """SCD type 2: a version of each key from its first moment on, until tracked values change or it is deleted.

    Several events of a key at one moment (the first part of the sequence): the state after the last of them counts.
    """
    history: dict[Any, list[tuple[Any, dict[str, Any] | None]]] = {}
    for event in in_order(events):
        states = history.setdefault(event["key"], [])
        before = states[-1][1] if states else None
        if event["operation"] == DELETE:
            after = None
        else:
            old = before or dict.fromkeys(columns)
            after = {name: old[name] if name in ignored and event[name] is None else event[name] for name in columns}
        moment = event["sequence"][0]
        if states and states[-1][0] == moment:
            states[-1] = (moment, after)
        else:
            states.append((moment, after))
    return {key: found for key, states in history.items() if (found := _intervals(states, tracked))}


def _intervals(states: list[tuple[Any, dict[str, Any] | None]], tracked: list[str]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    open_version: dict[str, Any] | None = None
    for moment, values in states:
        if values is not None and open_version and all(open_version[name] == values[name] for name in tracked):
            open_version.update(values)
            continue
        if open_version:
            open_version["valid_to"] = moment
            open_version = None
        if values is not None:
            open_version = {**values, "valid_from": moment, "valid_to": None}
            made.append(open_version)
    return made


def extracted(
    extracts: list[list[Event]], columns: list[str], scope: str | None = None, ignored: tuple[str, ...] = ()
) -> dict[Any, dict[str, Any]]:
    """Upsert of full extracts, one after another: what an extract does not have, within its scope, is gone.

    A key that is gone, or that a row deleted, begins anew with the next extract that has it: nothing older counts.
    """
    lives: dict[Any, list[Event]] = {}
    for extract in extracts:
        if not extract:
            continue
        present = {event["key"] for event in extract}
        scopes = {event[scope] for event in extract if event[scope] is not None} if scope else set()
        for key in list(lives):
            row = upserted(lives[key], columns, ignored).get(key)
            if row is None or (key not in present and (not scope or row[scope] in scopes)):
                del lives[key]
        for event in extract:
            lives.setdefault(event["key"], []).append(event)
    return {key: row for life in lives.values() for key, row in upserted(life, columns, ignored).items()}
