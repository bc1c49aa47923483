"""The servers that `infra/stack.py run` started, as tests use them: their addresses, databases, deaths."""

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from services.chassis.migrations import migrate

STACK = Path(__file__).parents[1] / "infra" / "stack.py"
CONTROL_WITHIN = 120.0  # seconds; RabbitMQ starts in 7 where nothing else runs


def amqp_uri() -> str:
    """Return RabbitMQ's address."""
    return os.environ["STACK_AMQP_URI"]


def fresh_bus(name: str) -> str:
    """Return the address of a new bus within RabbitMQ: no other test's services answer there."""
    vhost = f"{name}-{uuid.uuid4().hex[:12]}"
    _control("vhost", vhost)
    return f"{amqp_uri().removesuffix('//')}/{vhost}"


def postgres_url() -> str:
    """Return PostgreSQL's address, with a role that may do anything."""
    return os.environ["STACK_POSTGRES_URL"]


def mqtt_url() -> str:
    """Return Mosquitto's address, with an account that may publish and hear everything."""
    return os.environ["STACK_MQTT_URL"]


def mqtt_address() -> str:
    """Return Mosquitto's address alone."""
    address = urlsplit(mqtt_url())
    return f"mqtt://{address.hostname}:{address.port}"


def mqtt_folder() -> Path:
    """Return where Mosquitto's password file is, and what belongs to it."""
    return Path(os.environ["STACK_MQTT_FOLDER"])


@contextmanager
def fresh_database(name: str) -> Iterator[str]:
    """Make a new PostgreSQL database for the length of a block; return its address."""
    with _made("CREATE DATABASE {}", name) as database:
        yield _address(database)


@contextmanager
def migrated_database(service: str) -> Iterator[str]:
    """Make the same with a service's tables in it, copied: to migrate takes as long again."""
    with _made("CREATE DATABASE {} TEMPLATE {}", service, _migrated(service)) as database:
        yield _address(database)


@cache
def _migrated(service: str) -> str:
    """Return the name of a database with a service's tables, which lasts as long as the server."""
    database = f"{service}_{uuid.uuid4().hex[:12]}"
    _run("CREATE DATABASE {}", database)
    migrate(service, url=_address(database))
    return database


@contextmanager
def _made(statement: str, name: str, *templates: str) -> Iterator[str]:
    database = f"{name}_{uuid.uuid4().hex[:12]}"
    _run(statement, database, *templates)
    try:
        yield database
    finally:
        _run("DROP DATABASE {} WITH (FORCE)", database)


def _address(database: str) -> str:
    server = make_url(os.environ["STACK_POSTGRES_URL"])
    return server.set(database=database).render_as_string(hide_password=False)


def kill(server: str) -> None:
    """Kill -9 rabbitmq, postgres or mosquitto; return when nothing of it is left."""
    _control("kill", server)


def start(server: str) -> None:
    """Start a killed server on its data and port; return when it answers."""
    _control("start", server)


def destroy(server: str) -> None:
    """Kill -9 a server and delete all that it keeps; Mosquitto's accounts are another's."""
    kill(server)
    for kept in _kept_by(server):
        shutil.rmtree(kept) if kept.is_dir() else kept.unlink()


def postgres_data() -> Path:
    """Return PostgreSQL's data folder."""
    command: list[str] = _server("postgres")["command"]
    return Path(command[command.index("-D") + 1])


def make_bus_again(uri: str) -> None:
    """Make a bus of its own within a RabbitMQ that has lost it."""
    _control("vhost", urlsplit(uri).path.removeprefix("/"))


def _kept_by(server: str) -> list[Path]:
    if server == "postgres":
        return list(postgres_data().iterdir())
    environment = _server(server)["environment"]
    if server == "rabbitmq":
        return list(Path(environment["RABBITMQ_MNESIA_BASE"]).iterdir())
    return list(Path(environment["HOME"]).glob("*.db"))


def _server(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(os.environ["STACK_CONTROL"]).read_text())[name]
    return found


def pause(server: str) -> None:
    """Stop every process of a server where it is (SIGSTOP)."""
    _control("pause", server)


def resume(server: str) -> None:
    """Let a paused server go on."""
    _control("resume", server)


def fill_disk(server: str) -> None:
    """Have rabbitmq or mosquitto find its disk full."""
    _control("fill", server)


def empty_disk(server: str) -> None:
    """Give rabbitmq or mosquitto room again."""
    _control("empty", server)


def _control(verb: str, name: str) -> None:
    subprocess.run([sys.executable, str(STACK), verb, name], check=True, timeout=CONTROL_WITHIN)


def _run(statement: str, *databases: str) -> None:
    server = make_url(os.environ["STACK_POSTGRES_URL"]).set(drivername="postgresql")
    with psycopg.connect(server.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, databases)))
