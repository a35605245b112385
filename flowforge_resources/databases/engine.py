"""A declared connection as an SQLAlchemy engine: address, TLS, time-outs, read-only sessions, application name.

Belongs here: opening. Does not: what is wrong when opening fails (`trouble`), or what is read (`catalog`, and the sources).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flowforge_resources.databases.trouble import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection, Engine

    from flowforge_resources.databases.connection import ConnectionFields

_MS = 1000


def open_engine(connection: ConnectionFields) -> Engine:
    """An engine; nothing is connected until it is used. Dispose of it, or use `connected`.

    Raises:
        MissingDriverError: the driver is not installed.
        SecretError: there is nothing where a reference points.
    """
    import sqlalchemy

    connection.its_kind.require_driver(connection.name)
    url = engine_url(connection)
    options = pool_options(connection)
    engine = sqlalchemy.create_engine(url, connect_args=_connect_args(connection, url), **options)
    sqlalchemy.event.listen(engine, "connect", lambda session, _record: _begin_session(connection, engine, session))
    return engine


def pool_options(connection: ConnectionFields) -> dict[str, Any]:
    """At most `pool_size` connections; one that died in the pool is noticed before it is used."""
    if connection.kind == "sqlite" or str(connection.url).startswith(("sqlite", "duckdb")):
        return {}
    return {"pool_size": connection.pool_size, "max_overflow": 0, "pool_pre_ping": True}


@contextmanager
def connected(connection: ConnectionFields) -> Iterator[Connection]:
    """One connection for the length of the block; what goes wrong is raised in words.

    Raises:
        DatabaseRefusedError: the server answered and refused.
        DatabaseUnreachableError: it does not answer, or ended the session.
    """
    engine = open_engine(connection)
    try:
        with in_words(connection), engine.connect() as session:
            yield session
    finally:
        engine.dispose()


def engine_url(connection: ConnectionFields) -> URL:
    """Where to connect, secrets looked up. Its text form hides the password."""
    from sqlalchemy import URL, make_url
    from sqlalchemy.exc import ArgumentError

    from flowforge_resources.errors import DatabaseRefusedError

    secret = connection.resolved("password")
    if connection.url is not None:
        try:
            url = make_url(connection.resolved("url") or "")
        except ArgumentError:
            raise DatabaseRefusedError(
                connection.name,
                "its `url` is not an SQLAlchemy URL.",
                "Write e.g. `postgresql+psycopg://app@db.example.com/shop`.",
            ) from None
        url = _with_driver(connection, url)
        return url.set(password=secret) if secret else url
    kind = connection.its_kind
    if kind.name == "sqlite":
        mode = "ro" if connection.read_only else "rwc"
        path = connection.resolved("database") or ""
        return URL.create(kind.drivername, database=f"file:{_escaped(path)}", query={"mode": mode, "uri": "true"})
    name = connection.resolved("database")
    query = {"service_name": name} if kind.name == "oracle" and name else {}
    return URL.create(
        kind.drivername,
        username=connection.resolved("user"),
        password=secret,
        host=connection.resolved("host"),
        port=connection.resolved_port(),
        database=None if kind.name == "oracle" else name,
        query=query,
    )


def _with_driver(connection: ConnectionFields, url: URL) -> URL:
    """A URL of a known kind goes through that kind's driver, whichever its scheme names."""
    return url.set(drivername=connection.its_kind.drivername) if connection.its_kind.drivername else url


def _escaped(path: str) -> str:
    """A path as the URI of an SQLite database takes it."""
    from urllib.parse import quote

    return quote(path)


def _connect_args(connection: ConnectionFields, url: URL) -> dict[str, Any]:
    backend = url.get_backend_name()
    build = {
        "postgresql": _of_postgres,
        "mysql": _of_mysql,
        "mariadb": _of_mysql,
        "mssql": _of_sqlserver,
        "oracle": _of_oracle,
    }.get(backend)
    return build(connection) if build and url.drivername in _DRIVERS else {}


_DRIVERS = ("postgresql+psycopg", "mysql+pymysql", "mariadb+pymysql", "mssql+mssqlpython", "oracle+oracledb")


def postgres_options(connection: ConnectionFields) -> dict[str, str]:
    """What libpq takes beside address and user: the same for every driver that stands on it."""
    settings = ["-c default_transaction_read_only=on"] if connection.read_only else []
    if connection.statement_timeout_s:
        settings.append(f"-c statement_timeout={connection.statement_timeout_s * _MS}")
    files = {
        "sslrootcert": connection.resolved("tls_ca"),
        "sslcert": connection.resolved("tls_cert"),
        "sslkey": connection.resolved("tls_key"),
    }
    return {
        "connect_timeout": str(connection.connect_timeout_s),
        "application_name": connection.application_name,
        "client_encoding": "utf8",
        "keepalives_idle": "30",
        **({"options": " ".join(settings)} if settings else {}),
        **({"sslmode": connection.tls} if connection.tls else {}),
        **{name: path for name, path in files.items() if path},
    }


def _of_postgres(connection: ConnectionFields) -> dict[str, Any]:
    return dict(postgres_options(connection))


def _of_mysql(connection: ConnectionFields) -> dict[str, Any]:
    timeout = {"connect_timeout": connection.connect_timeout_s, "program_name": connection.application_name}
    return {**timeout, "charset": "utf8mb4", **_mysql_tls(connection)}


def _mysql_tls(connection: ConnectionFields) -> dict[str, Any]:
    mode = connection.tls
    if mode is None or mode == "prefer":
        return {}
    if mode == "disable":
        return {"ssl_disabled": True}
    files = {"ca": connection.resolved("tls_ca"), "cert": connection.resolved("tls_cert")}
    files["key"] = connection.resolved("tls_key")
    ssl: dict[str, Any] = {name: path for name, path in files.items() if path}
    ssl["verify_mode"] = "required" if mode.startswith("verify") else "none"
    ssl["check_hostname"] = mode == "verify-full"
    return {"ssl": ssl}


def _of_sqlserver(connection: ConnectionFields) -> dict[str, Any]:
    encrypt = {None: None, "disable": "no", "prefer": "optional"}.get(connection.tls, "yes")
    trusted = "no" if str(connection.tls).startswith("verify") else "yes"
    said = {
        "ApplicationIntent": "ReadOnly" if connection.read_only else "ReadWrite",
        **({"Encrypt": encrypt} if encrypt else {}),
        **({"TrustServerCertificate": trusted} if encrypt == "yes" else {}),
    }
    return {**said, "timeout": connection.connect_timeout_s}


def _of_oracle(connection: ConnectionFields) -> dict[str, Any]:
    said: dict[str, Any] = {"tcp_connect_timeout": connection.connect_timeout_s, "program": connection.application_name}
    if connection.tls and connection.tls not in ("disable", "prefer"):
        said |= {"protocol": "tcps", "ssl_server_dn_match": connection.tls == "verify-full"}
        if wallet := connection.resolved("tls_ca"):
            said["wallet_location"] = wallet
    return said


def _begin_session(connection: ConnectionFields, engine: Engine, session: Any) -> None:
    """What a server is told once a session is open, where it cannot be told on the way in."""
    statements = session_settings(connection, engine.dialect.name, _version_of(engine.dialect.name, session))
    limit_statements(connection, engine.dialect.name, session)
    cursor = session.cursor()
    for statement in statements:
        cursor.execute(statement)
    cursor.close()
    if statements and hasattr(session, "commit"):
        session.commit()


def limit_statements(connection: ConnectionFields, dialect: str, session: Any) -> None:
    """The time-out of statements, where it is the driver that watches over it."""
    limit = connection.statement_timeout_s
    if limit and dialect == "oracle":
        session.call_timeout = limit * _MS
    if limit and dialect == "mssql" and hasattr(session, "timeout"):
        session.timeout = limit


def _version_of(dialect: str, session: Any) -> str:
    if dialect not in ("mysql", "mariadb"):
        return ""
    cursor = session.cursor()
    cursor.execute("SELECT VERSION()")
    version = str(cursor.fetchone()[0])
    cursor.close()
    return version


def session_settings(connection: ConnectionFields, dialect: str, version: str = "") -> list[str]:
    """Statements that a new session begins with."""
    limit, read_only = connection.statement_timeout_s, connection.read_only
    if dialect in ("mysql", "mariadb"):
        said = ["SET SESSION time_zone = '+00:00'"]
        if limit and "mariadb" in version.lower():
            said.append(f"SET SESSION max_statement_time = {limit}")
        elif limit:
            said.append(f"SET SESSION max_execution_time = {limit * _MS}")
        return [*said, *(["SET SESSION TRANSACTION READ ONLY"] if read_only else [])]
    if dialect == "sqlite":
        return ["PRAGMA query_only = ON"] if read_only else []
    if dialect == "mssql" and limit:
        return [f"SET LOCK_TIMEOUT {limit * _MS}"]
    if dialect == "oracle":
        utc = "ALTER SESSION SET TIME_ZONE = '+00:00'"
        return [utc, *_ORACLE_TEXT]
    return []


_ORACLE_TEXT = (
    "ALTER SESSION SET NLS_NUMERIC_CHARACTERS = '.,'",
    "ALTER SESSION SET NLS_DATE_FORMAT = 'SYYYY-MM-DD HH24:MI:SS'",
    "ALTER SESSION SET NLS_TIMESTAMP_FORMAT = 'SYYYY-MM-DD HH24:MI:SS.FF9'",
    "ALTER SESSION SET NLS_TIMESTAMP_TZ_FORMAT = 'SYYYY-MM-DD HH24:MI:SS.FF9 TZH:TZM'",
)
