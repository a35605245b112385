"""What a silver run says of the rows that wait, whom it tells, and giving up rows that waited too long.

Dagster wants the type itself, not its name, on a step's `context`: no postponed annotations in this module.
"""

import json
import os
from collections.abc import Iterable
from datetime import UTC
from urllib.error import URLError
from urllib.request import Request, urlopen

import dagster as dg

from flowforge_assets.quarantine.deciding import Recorded, discard
from flowforge_assets.quarantine.waiting import RELEASED, Selection, Waiting, waiting
from flowforge_assets.running.step import last_result
from flowforge_assets.table_spec import TableSpec
from flowforge_checks.quarantine_limits import WAITING
from flowforge_checks.results import Outcome
from flowforge_resources.decisions import Decision
from flowforge_resources.duck import connect, literal, one_row
from flowforge_resources.lake import Lake
from flowforge_resources.layout import utc_now

_TIMEOUT_S = 5
RETENTION = "retention"


def of_waiting(lake: Lake, spec: TableSpec) -> list[Outcome]:
    """The check on what waits as it is published, where limits are declared."""
    if not spec.quarantine.is_checked:
        return []
    rows, oldest = 0, None
    if lake.head(spec.id.quarantine) is not None:
        with lake.scratch() as scratch, connect(scratch.root) as connection:
            file = literal(str(lake.stage_in(spec.id.quarantine, scratch)))
            rows, oldest = one_row(connection, f"SELECT count(*), min(_ingested_at) FROM read_parquet({file})")
    return [spec.quarantine.outcome(rows, oldest.replace(tzinfo=UTC) if oldest else None, utc_now())]


def alert(context: dg.AssetExecutionContext, spec: TableSpec, outcomes: Iterable[Outcome]) -> None:
    """Log that the check fails; tell the webhook if it did not fail before. A webhook that is down fails no run."""
    failed = next((one for one in outcomes if one.check == WAITING and not one.passed), None)
    if failed is None:
        return
    text = f"Quarantine of {spec.id}: {failed.description}"
    context.log.warning("%s", text)
    name = spec.quarantine.alert_url_env
    if name is None or _failed_before(context, dg.AssetCheckKey(dg.AssetKey(spec.id.silver_key), WAITING)):
        return
    url = os.environ.get(name, "")
    if not url.startswith(("https://", "http://")):
        context.log.warning("%s holds no web address: nobody was told that too much waits in %s.", name, spec.id)
        return
    body = json.dumps({"text": text}).encode()
    try:
        urlopen(Request(url, body, {"Content-Type": "application/json"}), timeout=_TIMEOUT_S).close()  # noqa: S310  # checked above
    except (URLError, OSError) as error:
        # Not the address: such addresses are secrets.
        context.log.warning("The webhook in %s could not be told: %s", name, type(error).__name__)


def _failed_before(context: dg.AssetExecutionContext, check: dg.AssetCheckKey) -> bool:
    last = last_result(context, check)
    return last is not None and not last.passed


def give_up(lake: Lake, tables: Iterable[TableSpec]) -> list[Recorded]:
    """Discard the rows that waited longer than their table keeps them; released ones are about to be taken in."""
    done = []
    for spec in tables:
        kept = spec.quarantine.kept
        if kept is None:
            continue
        old = waiting(lake, spec, Selection(older_than=kept))
        rows = tuple(row for row in old.rows if row.status != RELEASED)
        if rows:
            decision = Decision(RETENTION, f"waited longer than {spec.quarantine.keep_for}", utc_now())
            done.append(discard(lake, Waiting(spec, rows), decision))
    return done
