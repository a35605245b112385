"""Every error FlowForge raises on purpose.

FlowForgeError
├── PermanentError            trying again cannot help; Dagster's retries are stopped
│   ├── DefinitionError       the YAML or SQL of a workflow is wrong; found before anything runs
│   ├── SettingError          an environment variable or argument holds a value that cannot work
│   ├── BadFileError          a landed file cannot be read as declared
│   ├── ChangedFileError      a landed file was uploaded again with other content, which its table forbids
│   ├── NewColumnsError       files bring new columns, for which their table stops once
│   ├── DecisionError         a person's decision lacks a reason, or its end is none
│   │   └── SelectionError    it cannot be said which rows are meant
│   ├── LakeAccessError       the store refused us: credentials, bucket, permission
│   ├── MissingTableError     a table is read that was never published
│   ├── TransformError        a declared transform cannot be run on a batch: a user's function fails
│   ├── RuleFunctionError    a rule's Python function fails, or does not answer for every row
│   ├── RuleValuesError      a rule's SQL cannot be computed of some row's values
│   ├── TooManyPairsError    a rule about pairs of rows would compare too many of them
│   ├── ModelColumnsError     a model's query does not return what its document needs
│   ├── PartitionsOfOldDefinitionError  partitions are chosen of a table whose definition changed
│   ├── SecretError           there is nothing where a reference to a secret points
│   ├── MissingDriverError    a database is declared whose driver is not installed
│   ├── DatabaseRefusedError  a database answered, and refused: password, database, privilege, table, TLS
│   ├── SourceError           what a database holds, or an API answers, is not what the table's source declares
│   ├── SinkError             a target cannot take what is to be delivered
│   │   └── SinkCountsError   it took another number of rows than was given
│   ├── EndpointRefusedError  an HTTP endpoint refused a batch of rows
│   ├── SurrogateKeyCollisionError  two natural keys hash to one surrogate key
│   ├── DamagedCopyError      a copy of bronze differs from what it was made from
│   ├── NewerLakeError        a newer FlowForge wrote what is to be read
│   └── BooksError            rows in and rows out do not add up
└── TransientError            a later attempt may succeed; retried with backoff and jitter
    ├── LakeUnreachableError  the store does not answer
    ├── QueueError            a notification queue does not answer, or refuses
    ├── EndpointUnreachableError  an HTTP endpoint does not answer, or is too busy for too long
    ├── DatabaseUnreachableError  a database does not answer, or ended the session
    ├── SourceUnreachableError  an API does not answer, is too busy for too long, or changed while it was read
    ├── ScratchSpaceError     the local disk is full
    ├── LandingMovedError     a landing file was written or removed while it was read
    └── ConcurrentPublishError  another run published the same table first

Each class takes data and builds its own message: who, what was wrong with which value, what happened to the data,
and the fix. No message holds a secret or a sampled value of a column marked `pii`.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the nearest known name, or the sorted list of what is known."""
    names = sorted(set(known))
    return nearest(name, names) or (f" Known: {', '.join(names)}." if names else "")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the nearest known name, if one is near."""
    near = get_close_matches(name, sorted(set(known)), n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


class FlowForgeError(Exception):
    """Base of every error FlowForge raises on purpose."""


class PermanentError(FlowForgeError):
    """Trying again cannot help."""


class TransientError(FlowForgeError):
    """A later attempt may succeed."""


class DefinitionError(PermanentError):
    """A workflow's YAML or SQL is wrong.

    Args:
        where: file and line, e.g. `defs/retail/defs.yaml:41`.
        problem: what is wrong with which value, one sentence.
        fix: what to write instead, one sentence.
    """

    def __init__(self, where: str, problem: str, fix: str) -> None:
        self.where, self.problem, self.fix = where, problem, fix
        super().__init__(f"{where}: {problem} {fix}".rstrip())


class SettingError(PermanentError):
    """A setting holds a value that cannot work; `supplied_by` names the argument or environment variable."""

    def __init__(self, supplied_by: str, value: str, problem: str, fix: str) -> None:
        super().__init__(f"{supplied_by} is '{value}': {problem} Nothing was read or written. {fix}")


class BadFileError(PermanentError):
    """A landed file cannot be read as declared; nothing of its run was published."""

    def __init__(self, file: str, problem: str, fix: str) -> None:
        self.file, self.problem, self.fix = file, problem, fix
        super().__init__(f"{file}: {problem} The file stays in landing and no table changed. {fix}")


class ChangedFileError(PermanentError):
    """A file was uploaded again with other content, and its table says `on_change: fail`."""

    def __init__(self, file: str, table: str) -> None:
        super().__init__(
            f"{file}: it was ingested before and now holds other content, and {table} says `on_change: fail`. No file "
            "of this run was taken and no table changed. Remove the file, upload it under a new name, or declare "
            "`on_change: supersede` (its new version counts), `append` or `skip`."
        )


class NewColumnsError(PermanentError):
    """Files bring a new schema, for which their table stops once; `changes` says which file brings what."""

    def __init__(self, table: str, changes: str) -> None:
        super().__init__(
            f"{table} stops once for a new schema: {changes} Nothing was taken and no table changed. The new schema is "
            "recorded: the next run takes the files with it. Remove the files if it is wrong. A table with "
            "`stop_on_new_columns: false` takes new columns in the same run."
        )


class DecisionError(PermanentError):
    """A person's decision cannot be taken as it was given."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"The decision was not taken, and nothing changed: {problem} {fix}")


class SelectionError(DecisionError):
    """It cannot be said which rows are meant."""

    def __init__(self, problem: str, fix: str) -> None:
        PermanentError.__init__(self, f"No row was chosen, and nothing changed: {problem} {fix}")


class LakeAccessError(PermanentError):
    """The store answered, and refused."""

    def __init__(self, url: str, action: str, reason: str) -> None:
        super().__init__(
            f"The lake {url} refused to {action}: {reason} No table changed. "
            "Check the bucket's name, the credentials in the standard variables (AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL or their Azure and Google counterparts) "
            "and that they may list, read, write and delete under that prefix."
        )


class MissingTableError(PermanentError):
    """A table is read that was never published."""

    def __init__(self, table: str, asset: str) -> None:
        super().__init__(
            f"{table} has not been published yet, so nothing can be read from it. "
            f"Materialize the asset '{asset}' first, or run the workflow's job."
        )


class TransformError(PermanentError):
    """A declared transform cannot be run on a batch; `number` counts from 1 as in the YAML."""

    def __init__(self, table: str, number: int, problem: str, fix: str) -> None:
        super().__init__(
            f"{table}, transform {number}: {problem} The table was not published and keeps its last version; the batch "
            f"comes again with the next run. {fix}"
        )


class PartitionsOfOldDefinitionError(PermanentError):
    """Some partitions are to be made anew of a table whose others were made by another definition."""

    def __init__(self, table: str, job: str) -> None:
        super().__init__(
            f"{table}: its columns, keys, rules or partitions were declared otherwise since it was published, and only "
            "some of its partitions were chosen. No partition was made anew, because the others would not fit them. "
            f"Run the job '{job}' without choosing partitions: it makes the whole table anew."
        )


class RuleFunctionError(PermanentError):
    """A rule's Python function cannot be asked; what it was given is not quoted."""

    def __init__(self, rule: str, function: str, problem: str) -> None:
        super().__init__(
            f"rule {rule}: `{function}` {problem}. Nothing was published, and the batch comes again with the next run. "
            "Correct the function, and try it on a frame with the rule's `columns`."
        )


class RuleValuesError(PermanentError):
    """A rule's SQL looks at several rows, and some value is not what it asks for; `kind`: DuckDB's name of the error."""

    def __init__(self, rule: str, kind: str) -> None:
        super().__init__(
            f"rule {rule}: its SQL cannot be computed of every row ({kind}: e.g. text that is no number). Nothing was "
            "published, and the batch comes again with the next run. Write `try_cast(… AS …)` in place of a cast, or "
            "leave such rows out with `where`."
        )


class TooManyPairsError(PermanentError):
    """A rule about pairs of rows would compare or find more of them than can be looked at."""

    def __init__(self, rule: str, problem: str) -> None:
        super().__init__(
            f"rule {rule}: {problem}. Nothing was published, and the batch comes again with the next run. Say under `columns` or "
            "`columns_sql` what both rows share, e.g. `columns_sql: [left(zip, 3)]`, or two comparisons by order joined by "
            "AND, e.g. `a.pay > b.pay AND a.rate < b.rate`."
        )


class ModelColumnsError(PermanentError):
    """A model's query or a table it reads lacks a column its document names, or has it of another kind."""

    def __init__(self, where: str, problem: str, fix: str) -> None:
        self.where, self.problem, self.fix = where, problem, fix
        super().__init__(f"{where}: {problem} The table keeps its last version. {fix}")


class SurrogateKeyCollisionError(PermanentError):
    """Two natural keys of one table hash to one surrogate key."""

    def __init__(self, table: str, column: str, collisions: int) -> None:
        super().__init__(
            f"{table}: {collisions} value(s) of the surrogate key '{column}' stand for two different natural keys "
            "(a 63-bit hash collision). The table was not published and keeps its last version. "
            "Join on the natural key, and rename the surrogate key to change nothing else."
        )


class DamagedCopyError(PermanentError):
    """A compacted bronze file does not hold what its sources hold."""

    def __init__(self, table: str, files: int) -> None:
        super().__init__(
            f"Bronze of {table}: the copy made of {files} files differs from them. It was thrown away, and nothing changed. "
            "Run `flowforge compact` again; if it says so again, look at the machine's disk and memory."
        )


class NewerLakeError(PermanentError):
    """A record on the lake says what this FlowForge does not know of."""

    def __init__(self, key: str, names: Iterable[str]) -> None:
        super().__init__(
            f"{key} was written by a newer FlowForge: it holds {', '.join(f'`{name}`' for name in sorted(names))}, which this one "
            "does not know of and must not pass over. Nothing was read from it or changed. Run the version that wrote it, or a later one."
        )


class BooksError(PermanentError):
    """The account of a run does not balance."""

    def __init__(self, table: str, account: str) -> None:
        super().__init__(
            f"{table}: the books do not balance: {account}. The table was not published and keeps its last version. "
            "This is a defect in FlowForge; please report it with this line."
        )


class SecretError(PermanentError):
    """There is nothing where a reference points; the reference is named, a value never is."""

    def __init__(self, owner: str, field: str, reference: str, problem: str) -> None:
        super().__init__(
            f"{owner}, `{field}: {reference}`: {problem} No connection was opened and no table changed. "
            "Put the value there, or correct the reference."
        )


class MissingDriverError(PermanentError):
    """A database is declared whose driver is not installed."""

    def __init__(self, connection: str, title: str, module: str, extra: str) -> None:
        super().__init__(
            f"connection '{connection}': the driver for {title} is not installed (no Python module '{module}'). Nothing was "
            f"read or written. Install the extra: `uv sync --extra {extra}` or `pip install 'flowforge[{extra}]'`."
        )


class DatabaseRefusedError(PermanentError):
    """A database answered, and refused."""

    def __init__(self, connection: str, problem: str, fix: str, *, kind: str = "") -> None:
        self.connection, self.problem, self.fix, self.kind = connection, problem, fix, kind
        super().__init__(f"connection '{connection}': {problem} No table changed. {fix}")


class SourceError(PermanentError):
    """What a database holds, or an API answers, is not what the table's source declares."""

    def __init__(self, table: str, problem: str, fix: str) -> None:
        self.table, self.problem, self.fix = table, problem, fix
        super().__init__(f"{table}: {problem} Nothing was extracted and no table changed. {fix}")


class SinkError(PermanentError):
    """A target cannot take what is to be delivered, or refused it; no value of a row is in the message."""

    def __init__(self, sink: str, problem: str, fix: str) -> None:
        self.sink, self.problem, self.fix = sink, problem, fix
        super().__init__(f"sink {sink}: {problem} Nothing was delivered, and the target is as it was. {fix}".rstrip())


class SinkCountsError(SinkError):
    """A target holds another number of rows than was written to it."""


class EndpointRefusedError(PermanentError):
    """An HTTP endpoint refused a batch of rows; no value of a row is in the message."""

    def __init__(self, sink: str, problem: str, progress: str, fix: str) -> None:
        self.sink, self.problem, self.fix = sink, problem, fix
        super().__init__(f"sink {sink}: {problem} {progress} {fix}".rstrip())


class EndpointUnreachableError(TransientError):
    """An HTTP endpoint does not answer, or is too busy for too long."""

    def __init__(self, sink: str, problem: str, progress: str, fix: str) -> None:
        self.sink, self.problem, self.fix = sink, problem, fix
        super().__init__(f"sink {sink}: {problem} {progress} {fix}".rstrip())


class DatabaseUnreachableError(TransientError):
    """A database does not answer, or ended the session."""

    def __init__(self, connection: str, problem: str, fix: str, *, kind: str = "") -> None:
        self.connection, self.problem, self.fix, self.kind = connection, problem, fix, kind
        super().__init__(f"connection '{connection}': {problem} No table changed. {fix}")


class SourceUnreachableError(TransientError):
    """An API does not answer, is too busy for too long, or changed while it was read."""

    def __init__(self, table: str, problem: str, fix: str) -> None:
        self.table, self.problem, self.fix = table, problem, fix
        super().__init__(f"{table}: {problem} Nothing was published and no table changed. {fix}")


class LakeUnreachableError(TransientError):
    """The store does not answer."""

    def __init__(self, url: str, action: str, reason: str) -> None:
        super().__init__(
            f"The lake {url} did not answer when asked to {action}: {reason} No table changed. "
            "Check that the address is right and the server is up (AWS_ENDPOINT_URL for MinIO); the run can be repeated."
        )


class QueueError(TransientError):
    """A notification queue does not answer, or refuses."""

    def __init__(self, url: str, action: str, reason: str) -> None:
        super().__init__(
            f"The queue {url} did not {action}: {reason} No message was lost, and landing is listed instead. Check "
            "`queue_url`, the credentials in the standard variables and that they may receive, delete and send messages."
        )


class ScratchSpaceError(TransientError):
    """A local disk has no room left."""

    def __init__(self, path: str, action: str) -> None:
        super().__init__(
            f"No space left on the device of {path} when asked to {action}. No table changed. "
            "Free space, or point FLOWFORGE_SCRATCH_DIR at a larger disk, and repeat the run."
        )


class LandingMovedError(TransientError):
    """A landing file was written or removed while it was read."""

    def __init__(self, file: str) -> None:
        super().__init__(
            f"{file}: it was written or removed while this run read it. Nothing was taken and no table changed. "
            "The run is repeated; where uploads take long, declare `min_age_s`."
        )


class ConcurrentPublishError(TransientError):
    """Another run published the same table between our read and our write."""

    def __init__(self, table: str) -> None:
        super().__init__(
            f"{table}: another run published this table while this one was at work. This run published nothing. "
            "It is tried again on the new version."
        )
