"""What is wrong with a database, in words: name not found, refused, TLS, wrong password, no such database, no privilege.

Drivers say it in codes and in sentences of their own; what counts is a code where there is one, else what their text
looks like. No message holds the text of a statement or a row: only the driver's first line, the password blotted out.
"""

from __future__ import annotations

import re
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowforge_resources.errors import DatabaseRefusedError, DatabaseUnreachableError, FlowForgeError, SecretError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowforge_resources.databases.connection import ConnectionFields


@dataclass(frozen=True)
class Trouble:
    """One thing that goes wrong: how drivers say it, and how we do. `{at}` and the like are the connection's."""

    kind: str
    signs: str
    problem: str
    fix: str
    transient: bool = False


_AGAIN = "The run can be repeated; it is tried again by itself."
_TROUBLES = (
    Trouble(
        "driver",
        r"Failed to load the driver",
        "the driver for {title} is installed, and a library of the system that it needs is not.",
        "On Debian: `apt-get install libltdl7 libkrb5-3 libgssapi-krb5-2`.",
    ),
    Trouble(
        "password",
        r"28P01|password authentication failed|\(1045|\b1045\b|18456|Login failed|ORA-01017|ORA-01005|no password supplied",
        "{title} at {at} refused the user {user} or the password.",
        "Check `user` and what `password` refers to.",
    ),
    Trouble(
        "no_database",
        r"3D000|database \".*\" does not exist|\(1049|Unknown database|\b4060\b|Cannot open database|ORA-12514|ORA-12505|DPY-6001|DPY-6003|unable to open database file",
        "there is no database {database} at {at}, or {user} may not know of it.",
        "Correct `database`.",
    ),
    Trouble(
        "tls",
        r"(?-i:SSL|TLS)|certificate|\b2026\b|ORA-28860|ORA-29024|no pg_hba\.conf entry.*no encryption",
        "{title} at {at} and this side do not agree on an encrypted connection: {said}",
        "Check `tls` (now: {tls}), `tls_ca`, `tls_cert` and `tls_key`, and whether the server speaks TLS on that port.",
    ),
    Trouble(
        "not_allowed_from_here",
        r"no pg_hba\.conf entry|28000|\b1130\b|is not allowed to connect|role \".*\" (does not exist|is not permitted)",
        "{title} at {at} lets {user} not in from this machine: {said}",
        "Allow the user to log in from this machine, or correct `user`.",
    ),
    Trouble(
        "no_privilege",
        r"42501|permission denied|\(114[234]|\(1044|\(1227|\(1370|command denied|Access denied for user|\b229\b.*permission|ORA-01031|ORA-01045|InsufficientPrivilege",
        "{user} may not do that in {database} at {at}: {said}",
        "Grant the user what is missing, e.g. `GRANT SELECT` on the table.",
    ),
    Trouble(
        "no_table",
        r"42P01|42703|3F000|relation .* does not exist|column .* does not exist|\(1146|\(1054|no such table|no such column|Invalid object name|Invalid column name|ORA-00942|ORA-00904|Catalog Error|does not exist",
        "{database} at {at} has no such table or column: {said}",
        "Correct the table's `source`; `flowforge connections tables` and `columns` show what there is.",
    ),
    Trouble(
        "statement_timeout",
        r"57014|statement timeout|\(1969|\(3024|max_statement_time|maximum statement execution time|HYT00|DPY-4024|call timeout",
        "{title} at {at} ended the statement: it was cancelled, or took longer than it may ({limit}).",
        "Raise `statement_timeout_s`, add an index that the statement can use, or extract by `cursor`.",
        transient=True,
    ),
    Trouble(
        "name_not_found",
        r"could not translate host name|failed to resolve host|0x2AF9|Name or service not known|nodename nor servname|getaddrinfo|Temporary failure in name resolution|No address associated|\(2005|ORA-12545|DPY-4027",
        "the name '{host}' is not known: no address was found for it.",
        "Correct `host`, or check that this machine's name server knows it.",
        transient=True,
    ),
    Trouble(
        "refused",
        r"Connection refused|\b10061\b|0x2749|ORA-12541|No connection could be made",
        "{at} is there, and refused the connection: no server listens on that port.",
        "Check that the server runs, and `port`.",
        transient=True,
    ),
    Trouble(
        "timeout",
        r"timeout expired|0x274C|timed out|connection timeout|Login timeout|ORA-12170|No route to host|Network is unreachable",
        "{at} did not answer within {connect_s} s.",
        "Check `host`, `port` and the firewalls between; or raise `connect_timeout_s`.",
        transient=True,
    ),
    Trouble(
        "too_many_connections",
        r"53300|too many (clients|connections)|remaining connection slots|\(1040|\(1203|ORA-00018|ORA-12519|ORA-12520",
        "{title} at {at} has no connection left to give.",
        "Lower `parallel.connections` or `pool_size`, or raise the server's limit.",
        transient=True,
    ),
    Trouble(
        "conflict",
        r"40001|40P01|serialization failure|deadlock|\(1205|\(1213|ORA-00060|ORA-08177|ORA-01555|database is locked|snapshot too old|canceling statement due to conflict",
        "{title} at {at} gave way to another transaction: {said}",
        _AGAIN,
        transient=True,
    ),
    Trouble(
        "source_disk_full",
        r"53100|No space left on device|\(1021|\b1101\b|ORA-01653|ORA-01652|could not write to file",
        "the disk of {title} at {at} is full: {said}",
        "Free space there.",
        transient=True,
    ),
    Trouble(
        "ended",
        r"57P0[1235]|0x2746|terminating connection|server closed the connection|connection (was )?(closed|reset|aborted|lost|not open)|SSL connection has been closed|\(2006|\(2013|\(1317|\(1927|Lost connection|gone away|Connection was killed|Query execution was interrupted|ORA-03113|ORA-03114|ORA-00028|DPY-4011|DPY-1001|communication link failure|08S01|08006|08003|08001|08004|the database system is (starting up|shutting down|in recovery|not (yet )?accepting connections)|Broken pipe|early eof|UnexpectedEof|unexpected end of file|unexpected EOF|no COPY in progress|connection pointer is NULL|bad connection|consuming input failed|invalid snapshot identifier|IO error|Incomplete|Packet sequence",
        "{title} at {at} ended the session in the middle: {said}",
        _AGAIN,
        transient=True,
    ),
)
_KINDS = {trouble.kind: trouble for trouble in _TROUBLES}
# Names a session by letters that may spell anything.
_RANDOM = re.compile(r"\(CONNECTION_ID=[^)]*\)")
# What the words for an encrypted session that broke, and for a snapshot that went with its session, must not hide.
_FIRST = ("ended",)
_ENDED_FIRST = r'SSL connection has been closed|57P0|invalid snapshot identifier|snapshot ".*" does not exist|could not import the requested snapshot'


@contextmanager
def in_words(
    connection: ConnectionFields, explained: Callable[[Exception], FlowForgeError] | None = None
) -> Iterator[None]:
    """Around what is asked of a database: an error of a driver is raised as one of ours.

    Args:
        connection: the database.
        explained: what such an error is, to whom it matters; default: `explain`.

    Raises:
        DatabaseRefusedError: the server answered, and refused.
        DatabaseUnreachableError: it does not answer, or ended the session.
    """
    try:
        yield
    except FlowForgeError:
        raise
    except Exception as error:
        if not is_of_a_driver(error):
            raise
        raise (
            explained(error) if explained else explain(connection, error)
        ) from None  # the driver's own text may hold values of rows


def is_of_a_driver(error: BaseException) -> bool:
    """Whether an error comes from a database's driver, or from the network below it."""
    modules = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    ours = {"psycopg", "pymysql", "sqlalchemy", "adbc_driver_manager", "oracledb", "mssql_python", "sqlite3"}
    network = isinstance(error, ConnectionError | socket.gaierror | TimeoutError)
    return bool(modules & (ours | {"_duckdb", "duckdb"})) or network


def explain(connection: ConnectionFields, error: BaseException) -> DatabaseRefusedError | DatabaseUnreachableError:
    """A driver's error as one of ours."""
    text = _text_of(error)
    found = classify(text)
    said = _blotted(connection, _first_line(error))
    if found is None:
        return DatabaseRefusedError(
            connection.name, f"{connection.its_kind.title} said: {said}", "Correct what it names.", kind="other"
        )
    facts = _facts(connection, said)
    kind = DatabaseUnreachableError if found.transient else DatabaseRefusedError
    return kind(connection.name, found.problem.format(**facts), found.fix.format(**facts), kind=found.kind)


def classify(text: str) -> Trouble | None:
    """What a driver's text (its codes before it) says is wrong."""
    early = next((_KINDS[kind] for kind in _FIRST if re.search(_ENDED_FIRST, text, re.IGNORECASE)), None)
    if early is not None and "certificate" not in text:
        return early
    return next((trouble for trouble in _TROUBLES if re.search(trouble.signs, text, re.IGNORECASE)), None)


def _text_of(error: BaseException) -> str:
    """Codes and text of an error, and of the driver's error that SQLAlchemy wraps."""
    inner = getattr(error, "orig", None) or error
    codes = [str(getattr(one, "sqlstate", "") or "") for one in (inner, error)]
    return _RANDOM.sub("", " ".join([*codes, repr(getattr(inner, "args", "")), str(inner)]))


def _first_line(error: BaseException) -> str:
    inner = getattr(error, "orig", None) or error
    line = next((one.strip() for one in str(inner).splitlines() if one.strip()), type(inner).__name__)
    return f"{_RANDOM.sub('', line).rstrip(' .')[:300]}."


def _blotted(connection: ConnectionFields, said: str) -> str:
    """The text without the secrets of the connection."""
    for field in ("password", "url"):
        try:
            secret = connection.resolved(field)
        except SecretError:
            continue
        if secret and secret in said:
            said = said.replace(secret, "***")
    return said


def _facts(connection: ConnectionFields, said: str) -> dict[str, object]:
    address = _address(connection)
    limit = connection.statement_timeout_s
    return {
        "title": connection.its_kind.title,
        "at": address.at,
        "host": address.host,
        "user": f"'{address.user}'" if address.user else "the user",
        "database": f"'{address.database}'" if address.database else "the database",
        "said": said,
        "tls": connection.tls or "the driver's default",
        "connect_s": connection.connect_timeout_s,
        "limit": f"`statement_timeout_s: {limit}`" if limit else "the server's own limit",
    }


@dataclass(frozen=True)
class _Address:
    at: str
    host: str
    user: str
    database: str


def _address(connection: ConnectionFields) -> _Address:
    from flowforge_resources.databases.engine import engine_url

    if connection.kind == "duckdb":
        path = connection.resolved("database") or ""
        return _Address(path, "", "", path)
    url = engine_url(connection)
    database = url.database or str(url.query.get("service_name", ""))
    at = f"{url.host}:{url.port}" if url.host and url.port else url.host or database or "its address"
    return _Address(at, url.host or "", url.username or "", database)
