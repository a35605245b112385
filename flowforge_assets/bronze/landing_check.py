"""What the check `landing` says: files nobody expects, files that hold nothing, files that fail and files that are set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge_checks.results import Outcome
from flowforge_resources.ledger import SKIPPED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowforge_assets.bronze.discovery import Landed
    from flowforge_assets.bronze.intake import Intake
    from flowforge_assets.bronze.named_files import NamedFiles
    from flowforge_assets.table_spec import TableSpec

_MOST_NAMED = 20


def landing_outcome(
    check: str, spec: TableSpec, landed: Landed, intake: Intake, named: NamedFiles | None = None
) -> Outcome | None:
    """The check's outcome: it warns of everything in landing that is not simply taken.

    A run that looked only at the files its sensor named says so. Where nobody looked at the rest and there is nothing to
    warn of, there is no outcome: what the last look at the whole folder found is not known to be over.
    """
    kinds = (
        list(_failing(spec, intake)),
        list(_set_aside(landed)),
        [f"{key} does not match `{spec.files}` and was left alone." for key in sorted(landed.strangers)],
        list(_skipped(intake)),
        list(_of_taken(intake)),
    )
    broken = sum(len(said) for said in kinds)
    said = [" ".join(_some(kind)) for kind in kinds if kind]
    if named and not named.rest_seen and not broken:
        return None
    if named:
        said.append(_how_far(named))
    return Outcome(check, passed=not broken, warns=True, rows_broken=broken, description=" ".join(said) or None)


def _how_far(named: NamedFiles) -> str:
    if named.rest_seen:
        return f"The run looked at {named}, which the landing sensor named; the sensor found nothing odd in the rest of the folder."
    return (
        f"This is said of {named}, which the landing sensor named; nothing else in the folder was looked at. "
        "A run that is started by hand looks at all of it."
    )


def _failing(spec: TableSpec, intake: Intake) -> Iterator[str]:
    """Files this run could not read; the rest of its batch was taken."""
    most = spec.landing.max_file_attempts
    for file in intake.left:
        if file.key in intake.errors:
            then = "it is set aside" if file.attempts >= most else "the next run tries again"
            yield f"{file.key} was not taken (attempt {file.attempts} of {most}; {then}): {file.reason}"


def _set_aside(landed: Landed) -> Iterator[str]:
    for one in landed.set_aside:
        yield f"{one.object.key} is set aside after {one.attempts} attempts: {one.reason} Upload it anew to try again."


def _skipped(intake: Intake) -> Iterator[str]:
    for file in intake.left:
        if file.outcome == SKIPPED:
            yield f"{file.key} was uploaded again with other content and left alone (`on_change: skip`)."


def _of_taken(intake: Intake) -> Iterator[str]:
    for key in intake.done.empty_files:
        yield f"{key} holds no row; it was taken and added nothing."
    for key, account in intake.done.accounts.items():
        if account.repaired:
            yield (
                f"{key}: {account.repaired} rows did not fit and were read as best they could be; `_rescued` has the text."
            )
        if account.rescued:
            yield f"{key}: {account.rescued} lines are no row and were not expected; `_rescued` has the text."


def _some(said: Sequence[str]) -> list[str]:
    more = len(said) - _MOST_NAMED
    return [*said[:_MOST_NAMED], f"And {more} more files like these."] if more > 0 else list(said)
