"""The tables of the run history, the same in SQLite and PostgreSQL.

    schema_version   one row: which layout this is
    suite_run        one row a suite that ran
      task_run       one row a task of it; `scenario` is the task's id without its repetition
        metric       one row a figure of a task
        criterion    one row a judged criterion of a task

`wall_s`, `cpu_s` and `peak_mb` are about the machine. Figures that are not finite are NULL. Times are text as the command line gave
them; order is that of `suite_run.id`, which the database hands out.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)

SCHEMA_VERSION = 1

metadata = MetaData()
_ID = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER counts by itself in SQLite

schema_version = Table(
    "icv_schema_version",
    metadata,
    Column("version", Integer, nullable=False),
)

suite_run = Table(
    "icv_suite_run",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("started_utc", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("wall_s", Float),
    Column("workers", Integer, nullable=False),
    Column("icv_commit", Text, nullable=False),  # "" unknown; "+" at the end: with local changes
    Column("versions", Text, nullable=False),  # JSON object, package -> version
    Column("seed", BigInteger, nullable=False),
)

task_run = Table(
    "icv_task_run",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("run_id", _ID, ForeignKey(suite_run.c.id, ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),  # in the order of the plan
    Column("task_id", Text, nullable=False),
    Column("scenario", Text, nullable=False),
    Column("repetition", Integer, nullable=False),
    Column("scene", Text, nullable=False),
    Column("overrides", Text, nullable=False),  # JSON list of KEY=VALUE
    Column("suite", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("map_digest", Text, nullable=False),
    Column("log", Text, nullable=False),
    Column("is_flaky", Boolean, nullable=False),
    Column("wall_s", Float),
    Column("cpu_s", Float),
    Column("peak_mb", Float),
    Index("icv_task_by_scenario", "scenario", "run_id"),
    Index("icv_task_by_run", "run_id"),
)

metric = Table(
    "icv_metric",
    metadata,
    Column("task", _ID, ForeignKey(task_run.c.id, ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Float),
)

criterion = Table(
    "icv_criterion",
    metadata,
    Column("task", _ID, ForeignKey(task_run.c.id, ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("value", Float),
    Column("limit_value", Float),
    Column("unit", Text, nullable=False),
    Column("t_s", Float),
    Column("sentence", Text, nullable=False),
)
