"""Opens the database behind a URL: SQLite by default, PostgreSQL for a team; tables are made when they are not there.

SQLite: a file in WAL mode, so that readers never wait; a writer takes the write lock when its transaction begins and waits up to
30 s for another. (WAL needs a local disk: a team shares PostgreSQL, not a file on a network drive.) PostgreSQL: psycopg 3,
the extra `icv[postgres]`; an advisory lock keeps two first users from making the tables twice.
"""

from __future__ import annotations

import importlib.util
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from protocols.errors import ConfigError, IcvError, InfrastructureError
from sim.history import model

DEFAULT_URL = "sqlite:///runs/history.sqlite"
_BUSY_S = 30.0
_TRIES = 1500
_PATIENCE_S = 1.0  # of SQLite itself
_BEGIN = "icv_begin"
_LOCK = 0x1C5_0001  # PostgreSQL advisory lock under which tables are made
T = TypeVar("T")
_EXPECTED = (
    "expected a file such as runs/history.sqlite, sqlite:///FILE or postgresql://USER@HOST/DATABASE"
)


def parse_url(given: str) -> URL:
    """The URL in `given`; a text without `://` is the path of a SQLite file. ConfigError for other kinds of database."""
    if not given.strip():
        raise ConfigError(f"history: the URL is empty; {_EXPECTED}.")
    if "://" not in given:
        return URL.create("sqlite", database=given)
    try:
        url = make_url(given)
        kind = url.get_backend_name()
    except (ArgumentError, ValueError):
        raise ConfigError(
            f"history: {_safe(given)!r} is not a database URL; {_EXPECTED}."
        ) from None
    if kind == "postgres":  # an old spelling that still goes round
        kind = "postgresql"
    if kind == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        raise ConfigError(
            f"history: {_safe(given)!r} names a database of kind {kind!r}; {_EXPECTED}."
        )
    if url.host:
        raise ConfigError(
            f"history: {_safe(given)!r} has two slashes and a host; a SQLite file is written "
            f"sqlite:///relative/path or sqlite:////absolute/path."
        )
    if not url.database:
        raise ConfigError(f"history: {_safe(given)!r} names no file; {_EXPECTED}.")
    return url.set(drivername="sqlite")


def shown(url: URL) -> str:
    """The URL for a sentence: without its password, a plain path for a file."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.set(drivername="postgresql").render_as_string(hide_password=True)


def open_database(url: URL, *, create: bool) -> Engine:
    """An engine on a database with our tables, of our layout.

    `create`: make file and tables where they are missing; otherwise ConfigError says that there is no history yet.
    """
    with sentences(url):
        engine = _sqlite(url, create) if url.get_backend_name() == "sqlite" else _postgres(url)
        try:
            _prepare(engine, url, create)
        except BaseException:
            engine.dispose()
            raise
        return engine


@contextmanager
def sentences(url: URL) -> Iterator[None]:
    """Turns what the database says into a sentence of ours."""
    try:
        yield
    except IcvError:
        raise
    except DBAPIError as error:
        what = " ".join(str(error.orig or error).split())[:300].rstrip(".?! ")
        if isinstance(error.orig, sqlite3.DatabaseError) and "not a database" in what:
            raise ConfigError(
                f"history {shown(url)}: is not a SQLite database ({what}); {_EXPECTED}."
            ) from None
        raise InfrastructureError(
            f"history {shown(url)}: the database does not answer as it should: {what}. Check that it is there, writable "
            "and not full, then try again."
        ) from None
    except SQLAlchemyError as error:
        what = " ".join(str(error).split())[:300]
        raise InfrastructureError(f"history {shown(url)}: {what}.") from None


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: committed at the end, rolled back on an error. Waits for another writer, but not forever."""
    writer = engine.execution_options(**{_BEGIN: "IMMEDIATE"})
    with ExitStack() as stack:
        connection = _patiently(lambda: stack.enter_context(writer.begin()))
        if (
            engine.dialect.name == "postgresql"
        ):  # an administrator's lock, or a transaction left open
            connection.execute(text(f"SET LOCAL lock_timeout = '{_BUSY_S:.0f}s'"))
        yield connection


def _patiently(ask: Callable[[], T]) -> T:
    """What `ask` gives, as soon as nobody else holds the database. SQLite could wait by itself, but would hear no Ctrl-C."""
    for _ in range(round(_BUSY_S / _PATIENCE_S)):
        try:
            return ask()
        except OperationalError as error:
            if "locked" not in str(error.orig):
                raise
    return ask()


def _safe(given: str) -> str:
    """A URL that could not be parsed, without what might be a password."""
    head, at, tail = given.rpartition("@")
    return f"{head.partition('://')[0]}://***@{tail}" if at else given


def _sqlite(url: URL, create: bool) -> Engine:
    path = Path(str(url.database))
    if path.is_dir():
        raise ConfigError(f"history {path}: is a folder; {_EXPECTED}.")
    if not path.exists() and not create:
        raise ConfigError(
            f"history {path}: there is no such file, so no suite has been kept there yet. `icv suite` keeps its results in "
            f"the database given with --history; {_EXPECTED}."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"history {path}: its folder cannot be made: {error.strerror}; {_EXPECTED}."
        ) from None
    # No pool: a pooled connection would keep the file open, and forked workers must not inherit one.
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": _PATIENCE_S})

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # begin where we say so, not where the driver guesses
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(
            "PRAGMA synchronous=NORMAL"
        )  # WAL: a crash of the machine may lose the last commit, never the file
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Any) -> None:
        # A transaction that begins as a reader cannot become a writer once another has written; so writers say it at once.
        kind = connection.get_execution_options().get(_BEGIN, "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {kind}")

    return engine


def _postgres(url: URL) -> Engine:
    if importlib.util.find_spec("psycopg") is None:
        raise ConfigError(
            f"history {shown(url)}: PostgreSQL needs the package psycopg, which is not installed. "
            "Install the extra: pip install 'icv[postgres]'."
        )
    limits = {"connect_timeout": 10, "tcp_user_timeout": round(_BUSY_S * 1000)}  # s, ms
    extra = {name: limit for name, limit in limits.items() if name not in url.query}
    return create_engine(url, poolclass=NullPool, connect_args=extra)


def _prepare(engine: Engine, url: URL, create: bool) -> None:
    version = _patiently(lambda: _version(engine))
    if version is None:
        if not create:
            raise ConfigError(
                f"history {shown(url)}: holds no run history. `icv suite` keeps its results in the database given with --history."
            )
        if engine.dialect.name == "sqlite":
            _write_ahead(engine)
        with writing(engine) as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            model.metadata.create_all(connection)
            if connection.execute(select(model.schema_version.c.version)).first() is None:
                connection.execute(
                    model.schema_version.insert().values(version=model.SCHEMA_VERSION)
                )
        version = _version(engine)
    if version != model.SCHEMA_VERSION:
        newer = version is not None and version > model.SCHEMA_VERSION
        raise ConfigError(
            f"history {shown(url)}: has layout {version}, this version of icv knows layout {model.SCHEMA_VERSION}; it was "
            f"written by {'a newer' if newer else 'another'} icv. "
            f"{'Upgrade icv' if newer else 'Use that version'}, or keep the history elsewhere with --url."
        )


def _version(engine: Engine) -> int | None:
    """The layout in the database; None where there is none."""
    with engine.connect() as connection:
        if not inspect(connection).has_table(model.schema_version.name):
            return None
        found = connection.execute(select(model.schema_version.c.version)).scalars().first()
    if found is None:
        return None
    if not isinstance(found, int):
        raise ConfigError(
            f"history {shown(engine.url)}: its layout is {str(found)[:20]!r}, which is no number; was it edited by hand? "
            "Keep the history elsewhere with --url."
        )
    return found


def _write_ahead(engine: Engine) -> None:
    """Switch the file to WAL. Two processes that do so at once are told `locked` without waiting, so try again."""
    for attempt in range(_TRIES):
        raw = engine.raw_connection()
        try:
            raw.cursor().execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or attempt == _TRIES - 1:
                raise InfrastructureError(
                    f"history {shown(engine.url)}: cannot be switched to WAL: {error}. Keep the file on a local disk."
                ) from None
            time.sleep(_BUSY_S / _TRIES)
        finally:
            raw.close()
