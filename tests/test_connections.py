"""Connections: declared once, secrets by reference only, opened as declared, and what is wrong with one in words."""

from __future__ import annotations

import json
import os
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from flowforge_assets.cli import connections as cli
from flowforge_assets.cli.app import app
from flowforge_resources.databases import catalog, references
from flowforge_resources.databases.catalog import TableName
from flowforge_resources.databases.connection import ConnectionFields
from flowforge_resources.databases.engine import connected, limit_statements, open_engine, session_settings
from flowforge_resources.databases.trouble import classify
from flowforge_resources.errors import (
    DatabaseRefusedError,
    DatabaseUnreachableError,
    MissingDriverError,
    SecretError,
    SourceError,
)
from scenario import load
from sources import DATABASE, PASSWORD, USER, CuttingProxy
from test_yaml import everything_said

if TYPE_CHECKING:
    from pathlib import Path

    from sources import Server

WORKFLOW = """
type: flowforge_assets.components.Workflow
attributes: {description: Anything.}
---
type: flowforge_assets.components.Table
attributes: {name: items, columns: [{name: item_id}], keys: [item_id]}
---
"""


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)


def declared(kind: str = "postgres", **fields: Any) -> ConnectionFields:
    usual = {"host": "127.0.0.1", "database": DATABASE, "user": USER, "password": "env('SHOP_PASSWORD')"}
    said = {} if fields.get("url") or kind in ("sqlite", "duckdb") else usual
    return ConnectionFields(name="shop", kind=kind, **{**said, **fields})


def to(server: Server, **fields: Any) -> ConnectionFields:
    return declared(server.kind, **{"port": str(server.port), **fields})


def refusal(folder: Path, attributes: str) -> str:
    document = f"type: flowforge_assets.components.Connection\nattributes:\n  name: shop\n{attributes}\n"
    with pytest.raises(Exception) as caught:  # noqa: PT011  # Dagster wraps ours in several of its own
        load(folder, WORKFLOW + document)
    return everything_said(caught.value)


@pytest.mark.parametrize(
    "attributes",
    [
        "  kind: postgres\n  host: db\n  password: hunter2",
        "  kind: sqlalchemy\n  url: postgresql://app:hunter2@db/shop",
        "  kind: postgres\n  host: app:hunter2@db",
        "  kind: postgres\n  host: db\n  user: app:hunter2",
        "  kind: postgres\n  host: db\n  database: shop password=hunter2",
        "  kind: postgres\n  host: db\n  tls_key: -----BEGIN PRIVATE KEY-----hunter2",
        "  kind: sqlalchemy\n  url: postgresql://db/shop?user=app&password=hunter2",
        "  kind: sqlalchemy\n  url: mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Dhunter2",
    ],
)
def test_a_password_written_out_is_refused_with_its_line_and_never_printed(tmp_path: Path, attributes: str) -> None:
    said = refusal(tmp_path, attributes)
    assert "defs/shop/defs.yaml:1" in said
    assert "written out" in said
    assert "env('X')" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ("type: flowforge_assets.components.Connection\nattributes: {name: a, kind: postgres, host: h, pasword: hunter2}", "pasword"),
        ("type: flowforge_assets.components.Table\nattributes: {name: t, webhook: {secrt: hunter2}}", "secrt"),
        ("type: flowforge_assets.components.Table\nattributes: {name: t, source: {url: 'https://a', auth: {type: bearer, tokn: hunter2}}}", "tokn"),
    ],
)  # fmt: skip
def test_a_secret_under_a_name_with_a_typo_is_not_printed(tmp_path: Path, document: str, named: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # Dagster wraps ours in several of its own
        load(tmp_path, WORKFLOW + document)
    said = everything_said(caught.value)
    assert named in said
    assert "defs.yaml:" in said
    assert "hunter2" not in said


def test_a_password_of_digits_is_not_printed_either(tmp_path: Path) -> None:
    said = refusal(tmp_path, "  kind: postgres\n  host: db\n  password: 98765")
    assert "written out" in said
    assert "98765" not in said


def test_a_template_that_would_put_the_password_into_definitions_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUNTER", "hunter2")
    said = refusal(tmp_path, "  kind: postgres\n  host: db\n  password: \"{{ env('HUNTER') }}\"")
    assert "without braces" in said
    assert "hunter2" not in said
    said = refusal(tmp_path, "  kind: postgres\n  host: db\n  pool_size: \"{{ env('HUNTER') }}\"")
    assert "`pool_size` was not taken" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ("  kind: postgres\n  host: db\n  password: env(hunter2)", "Write env('SHOP_PASSWORD')"),
        ("  kind: postgres", "neither `host` nor `url`"),
        ("  kind: sqlite", "neither `database` nor `url`"),
        ("  kind: sqlalchemy", "has no `url`"),
        ("  kind: postgres\n  host: db\n  port: five", "a port that is no number"),
    ],
)
def test_what_is_wrong_with_a_connection_is_said_at_definition_time(
    tmp_path: Path, attributes: str, words: str
) -> None:
    said = refusal(tmp_path, attributes)
    assert words in said
    assert "hunter2" not in said


def test_definitions_load_without_a_secret_and_without_a_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_PASSWORD")
    document = "type: flowforge_assets.components.Connection\nattributes: {name: shop, kind: oracle, host: db, port: 1521, user: app, password: env('SHOP_PASSWORD')}"
    defs = load(tmp_path, WORKFLOW + document)
    assert "connection_shop" in (defs.resources or {})


def test_a_connection_is_declared_once(tmp_path: Path) -> None:
    document = "type: flowforge_assets.components.Connection\nattributes: {name: shop, kind: sqlite, database: a.db}\n"
    with pytest.raises(Exception) as caught:  # noqa: PT011
        load(tmp_path, f"{WORKFLOW}{document}---\n{document}")
    assert "declared twice" in everything_said(caught.value)


def test_references_are_looked_up_in_the_environment_and_in_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file\n", encoding="utf-8")
    asked = {"connection": "shop", "field": "password"}
    assert references.resolve("env('SHOP_PASSWORD')", **asked) == PASSWORD
    assert references.resolve(f"file('{secret}')", **asked) == "from a file"
    assert references.resolve("plain", **asked) == "plain"
    for missing in ("env('NO_SUCH')", f"file('{tmp_path / 'none'}')"):
        with pytest.raises(SecretError, match="No connection was opened"):
            references.resolve(missing, **asked)


def test_references_are_looked_up_at_aws(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    boto3.client("secretsmanager").create_secret(Name="shop/db", SecretString='{"password": "from aws"}')
    boto3.client("ssm").put_parameter(Name="/shop/password", Value="from ssm", Type="SecureString")
    asked = {"connection": "shop", "field": "password"}
    assert references.resolve("aws_secret('shop/db', 'password')", **asked) == "from aws"
    assert references.resolve("aws_secret('shop/db')", **asked) == '{"password": "from aws"}'
    assert references.resolve("ssm('/shop/password')", **asked) == "from ssm"
    with pytest.raises(SecretError, match="no JSON object with the key 'user'"):
        references.resolve("aws_secret('shop/db', 'user')", **asked)
    with pytest.raises(SecretError, match="ParameterNotFound"):
        references.resolve("ssm('/nothing')", **asked)


def test_a_postgres_session_is_what_was_declared(postgres: Server) -> None:
    one = to(postgres, statement_timeout_s=7, application_name="shop extract")
    with connected(one) as session:
        ask = "SELECT current_setting('default_transaction_read_only'), current_setting('statement_timeout'), current_setting('application_name')"
        assert tuple(session.exec_driver_sql(ask).one()) == ("on", "7s", "shop extract")
    with pytest.raises(DatabaseRefusedError, match="read-only"), connected(one) as session:
        session.exec_driver_sql("CREATE TABLE nothing (id int)")
    with connected(to(postgres, read_only=False)) as session:
        session.exec_driver_sql("CREATE TEMPORARY TABLE something (id int)")


def test_a_mariadb_session_is_what_was_declared(mariadb: Server) -> None:
    one = to(mariadb, statement_timeout_s=7)
    with connected(one) as session:
        ask = "SELECT @@session.max_statement_time, @@session.time_zone, @@session.tx_read_only"
        assert tuple(session.exec_driver_sql(ask).one()) == (7, "+00:00", 1)
    with pytest.raises(DatabaseRefusedError, match="READ ONLY"), connected(one) as session:
        session.exec_driver_sql("CREATE TABLE nothing (id int)")


@pytest.mark.parametrize("server", ["postgres", "mariadb"])
def test_what_is_wrong_is_said_in_words(server: str, request: pytest.FixtureRequest) -> None:
    there: Server = request.getfixturevalue(server)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    cases: list[tuple[dict[str, Any], str, type[Exception]]] = [
        ({"password": "env('HOME')"}, "refused the user 'app' or the password", DatabaseRefusedError),
        ({"database": "nowhere"}, "there is no database 'nowhere'", DatabaseRefusedError),
        ({"host": "no-such-host.invalid"}, "the name 'no-such-host.invalid' is not known", DatabaseUnreachableError),
        ({"port": str(closed)}, "no server listens on that port", DatabaseUnreachableError),
        ({"tls": "require"}, "do not agree on an encrypted connection", DatabaseRefusedError),
        ({"password": "env('UNSET')"}, "the environment variable UNSET is not set", SecretError),
    ]
    for fields, words, kind in cases:
        with pytest.raises(kind) as caught:
            catalog.server_version(to(there, **fields))
        assert words in str(caught.value), fields
        assert PASSWORD not in str(caught.value)
        assert os.environ["HOME"] not in str(caught.value)


@pytest.mark.parametrize("server", ["postgres", "mariadb"])
def test_a_missing_privilege_and_a_slow_statement_are_said_in_words(
    server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    there: Server = request.getfixturevalue(server)
    at = "@'%'" if server == "mariadb" else ""
    pw = "IDENTIFIED BY" if server == "mariadb" else "PASSWORD"
    there.run("DROP TABLE IF EXISTS hidden", "CREATE TABLE hidden (id int)")
    there.run(f"DROP USER IF EXISTS guest{at}", f"CREATE USER guest{at} {pw} 'guest-pw'")
    if server == "mariadb":
        there.run("CREATE TABLE IF NOT EXISTS shown (id int)", "GRANT SELECT ON shop.shown TO guest@'%'")
    monkeypatch.setenv("GUEST", "guest-pw")
    guest = to(there, user="guest", password="env('GUEST')")
    with pytest.raises(DatabaseRefusedError, match="'guest' may not do that"), connected(guest) as session:
        session.exec_driver_sql("SELECT * FROM hidden")
    sleep = "SELECT pg_sleep(5)" if server == "postgres" else "SELECT sleep(5) FROM information_schema.tables"
    slow = to(there, statement_timeout_s=1)
    with pytest.raises(DatabaseUnreachableError, match="statement_timeout_s: 1"), connected(slow) as session:
        session.exec_driver_sql(sleep)


@pytest.mark.parametrize("server", ["postgres", "mariadb"])
def test_a_session_that_is_cut_is_said_to_have_ended(server: str, request: pytest.FixtureRequest) -> None:
    there: Server = request.getfixturevalue(server)
    with CuttingProxy(there.port, 3000) as proxy:
        one = to(there, port=str(proxy.port))
        text = "SELECT repeat('x', 100000)"
        with pytest.raises(DatabaseUnreachableError, match="ended the session"), connected(one) as session:
            session.exec_driver_sql(text).all()


def test_a_driver_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowforge_resources.databases.kinds.find_spec", lambda _name: None)
    with pytest.raises(MissingDriverError, match="uv sync --extra oracle"):
        catalog.server_version(declared("oracle"))


def test_sqlite_and_duckdb_files_are_opened_read_only(tmp_path: Path) -> None:
    import sqlite3

    import duckdb

    lite, duck = tmp_path / "a b.db", tmp_path / "a.duckdb"
    with sqlite3.connect(lite) as session:
        session.execute('CREATE TABLE "Order" (id INTEGER PRIMARY KEY, "größe" TEXT NOT NULL)')
        session.execute("""INSERT INTO "Order" VALUES (1, 'it''s')""")
    session.close()
    with duckdb.connect(str(duck)) as made:
        made.execute('CREATE TABLE "Order" (id INTEGER PRIMARY KEY, "größe" TEXT NOT NULL)')
        made.execute("""INSERT INTO "Order" VALUES (1, 'it''s')""")
    for kind, path in (("sqlite", lite), ("duckdb", duck)):
        one = declared(kind, database=str(path))
        assert [found.name for found in catalog.tables(one)] == ["Order"]
        described = catalog.columns(one, TableName.parse('"Order"'))
        assert [(found.name, found.nullable, found.key) for found in described][1] == ("größe", False, False)
        assert described[0].key
        assert list(catalog.preview(one, TableName(None, "Order")).rows) == [(1, "it's")]
        with pytest.raises(SourceError, match="Did you mean"):
            catalog.columns(one, TableName(None, "Orders"))
    with pytest.raises(DatabaseRefusedError), connected(declared("sqlite", database=str(lite))) as session:
        session.exec_driver_sql('DELETE FROM "Order"')
    with pytest.raises(DatabaseRefusedError, match="there is no"):
        catalog.server_version(declared("duckdb", database=str(tmp_path / "none.duckdb")))
    with pytest.raises(DatabaseRefusedError, match="there is no database"):
        catalog.server_version(declared("sqlite", database=str(tmp_path / "none.db")))


def test_any_sqlalchemy_url_is_a_connection(tmp_path: Path, postgres: Server) -> None:
    assert catalog.server_version(declared("sqlalchemy", url=f"sqlite:///{tmp_path / 'x.db'}"))
    url = f"postgresql+psycopg://{USER}@127.0.0.1:{postgres.port}/{DATABASE}"
    one = declared("sqlalchemy", url=url, password="env('SHOP_PASSWORD')")
    assert catalog.server_version(one).startswith("1")


def test_sqlserver_and_oracle_are_told_what_was_declared() -> None:
    server = open_engine(declared("sqlserver", tls="verify-full", port="1500"))
    assert server.url.render_as_string() == "mssql+mssqlpython://app:***@127.0.0.1:1500/shop"
    oracle = open_engine(declared("oracle", tls="verify-full"))
    assert oracle.url.query["service_name"] == DATABASE
    assert "ALTER SESSION SET TIME_ZONE = '+00:00'" in session_settings(declared("oracle"), "oracle")
    assert session_settings(declared("sqlserver", statement_timeout_s=3), "mssql") == ["SET LOCK_TIMEOUT 3000"]
    sessions = {"mssql": SimpleNamespace(timeout=0), "oracle": SimpleNamespace(call_timeout=0)}
    for dialect, session in sessions.items():
        limit_statements(declared("oracle", statement_timeout_s=3), dialect, session)
    assert (sessions["mssql"].timeout, sessions["oracle"].call_timeout) == (3, 3000)


@pytest.mark.parametrize("kind", ["sqlserver", "oracle"])
def test_the_real_drivers_of_sqlserver_and_oracle_say_when_nobody_listens(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    with pytest.raises(DatabaseUnreachableError) as caught:
        catalog.server_version(declared(kind, port=str(closed), connect_timeout_s=2))
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Login failed for user 'app'. (18456)", "password"),
        ('Cannot open database "shop" requested by the login. (4060)', "no_database"),
        ("42000 The SELECT permission was denied on the object 'x' 229 permission", "no_privilege"),
        ("42S02 Invalid object name 'dbo.x'.", "no_table"),
        ("ORA-01017: invalid credential or not authorized; logon denied", "password"),
        ('DPY-6001: Service "shop" is not registered with the listener', "no_database"),
        ('ORA-00942: table or view "APP"."X" does not exist', "no_table"),
        ("ORA-01031: insufficient privileges", "no_privilege"),
        ("DPY-4011: the database or network closed the connection", "ended"),
        ("DPY-4024: call timeout of 1000 ms exceeded", "statement_timeout"),
        ("ORA-12541: Cannot connect. No listener at host", "refused"),
        ("ORA-01555: snapshot too old", "conflict"),
        (
            "OperationalError (3024, 'Query execution was interrupted, maximum statement execution time exceeded')",
            "statement_timeout",
        ),
    ],
)
def test_what_servers_that_are_not_at_hand_say_is_understood(text: str, kind: str) -> None:
    found = classify(text)
    assert found is not None
    assert found.kind == kind


def test_the_command_line_lists_tests_and_looks_into_connections(
    tmp_path: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.run('DROP TABLE IF EXISTS "Größen"', 'CREATE TABLE "Größen" (id int PRIMARY KEY, "select" numeric(9,2))')
    postgres.run('INSERT INTO "Größen" VALUES (1, 12.50)')
    (tmp_path / "connections").mkdir()
    wrong = postgres.yaml("wrong").replace("SHOP_PASSWORD", "HOME")
    (tmp_path / "connections" / "defs.yaml").write_text(f"{postgres.yaml()}---\n{wrong}", encoding="utf-8")
    monkeypatch.setattr(cli, "declared_connections", lambda: _declared(tmp_path))
    runner = CliRunner()

    def said(*arguments: str) -> Any:
        return json.loads(runner.invoke(app, ["connections", *arguments, "--json"], catch_exceptions=False).stdout)

    assert [one["password"] for one in said("list")] == ["env('SHOP_PASSWORD')", "env('HOME')"]
    assert [one["works"] for one in said("test")] == [True, False]
    assert runner.invoke(app, ["connections", "test"]).exit_code == 1
    assert runner.invoke(app, ["connections", "test", "shop"]).exit_code == 0
    assert {"table": "public.Größen", "kind": "table"} in said("tables", "shop")
    assert said("columns", "shop", "Größen")[1] == {
        "column": "select",
        "type": "numeric(9, 2)",
        "null": "yes",
        "key": "",
    }
    assert said("preview", "shop", "public.Größen") == [{"id": 1, "select": "12.50"}]
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "defs.yaml").write_text(SIZES_ARE_PERSONAL, encoding="utf-8")
    monkeypatch.setattr(cli, "declared_personal", lambda *asked: _personal(*asked, tmp_path))
    for name in ("Größen", "public.Größen"):
        assert said("preview", "shop", name) == [{"id": 1, "select": "(personal data)"}]
    assert said("preview", "shop", "Größen", "--show-pii") == [{"id": 1, "select": "12.50"}]


SIZES_ARE_PERSONAL = """type: flowforge_assets.components.Table
attributes:
  name: sizes
  source: {connection: shop, table: Größen}
  columns: [{name: id}, {name: size, source: Select, pii: true}]
"""
_declared, _personal = cli.declared_connections, cli.declared_personal
