"""``sse init cluster``: the files of FireWorks and jobflow for this cluster."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sse_flows.errors import SSEError
from sse_flows.launchers.discovery import Slurm
from sse_flows.launchers.secret_files import PASSWORD_VARIABLE, write_private, write_public

TEMPLATES = Path(__file__).parent / "templates"
PATIENCE_MS = 120_000
"""How long clients wait for a database that has gone: a restart takes about a minute."""
SECRET_FILES = ("my_launchpad.yaml", "jobflow.yaml")
MEMORY_OF_A_WORKER = 2000
"""Memory of a worker process with a force field, MB."""


@dataclass(frozen=True)
class Database:
    """Where MongoDB is.

    Attributes
    ----------
    host, port, name
        Server and database.
    username, password
        Of MongoDB; the password is not shown by ``repr``.
    auth_source
        Database that knows the user; by default `name`.
    tls, tls_ca_file
        Encrypted connection, and the certificate to trust.
    uri
        ``mongodb://`` or ``mongodb+srv://`` instead of host and port, without user and password.
    """

    host: str = "localhost"
    port: int = 27017
    name: str = "sse"
    username: str | None = None
    password: str | None = None
    auth_source: str | None = None
    tls: bool = False
    tls_ca_file: str | None = None
    uri: str | None = None

    def __repr__(self) -> str:
        """Without the password."""
        return f"Database({self.uri or self.host}, {self.name}, user {self.username})"

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments of pymongo's client, with credentials only for the form with a URI."""
        options: dict[str, Any] = {"serverSelectionTimeoutMS": PATIENCE_MS}
        if self.tls or self.tls_ca_file:
            options["tls"] = True
        if self.tls_ca_file:
            options["tlsCAFile"] = str(Path(self.tls_ca_file).expanduser().resolve())
        if self.uri and self.username:
            options |= {"username": self.username, "password": self.password}
            options["authSource"] = self.auth_source or self.name
        return options

    def launchpad(self) -> dict[str, Any]:
        """Content of ``my_launchpad.yaml``."""
        common = {
            "name": self.name,
            "strm_lvl": "WARNING",
            "user_indices": [],
            "wf_user_indices": [],
            "mongoclient_kwargs": self.client_options(),
        }
        if self.uri:
            return {"host": self.uri, "uri_mode": True, **common}
        login = {"username": self.username, "password": self.password}
        source = {"authsource": self.auth_source or self.name}
        return {"host": self.host, "port": self.port, **common, **login, **source}

    def jobflow(self) -> dict[str, Any]:
        """Content of ``jobflow.yaml``: documents in MongoDB, large arrays in its GridFS."""
        return {
            "JOB_STORE": {
                "docs_store": self._store("MongoStore", "outputs"),
                "additional_stores": {"data": self._store("GridFSStore", "outputs_blobs")},
            }
        }

    def _store(self, kind: str, collection: str) -> dict[str, Any]:
        store: dict[str, Any] = {
            "type": kind,
            "database": self.name,
            "collection_name": collection,
            "mongoclient_kwargs": self.client_options(),
        }
        if self.uri:
            return {**store, "uri": self.uri}
        store |= {"host": self.host, "port": self.port}
        if self.username:
            store |= {"username": self.username, "password": self.password}
            store["auth_source"] = self.auth_source or self.name
        return store


@dataclass(frozen=True)
class Choices:
    """What is asked of a job queue.

    Attributes
    ----------
    partition, account
        Of Slurm; None for the default.
    code
        ``forcefield``: one worker process a core; ``dft``: one process that starts MPI programs.
    max_queued
        Most jobs in the queue at a time.
    """

    partition: str | None = None
    account: str | None = None
    code: str = "forcefield"
    max_queued: int = 20


def write_site(
    folder: Path, database: Database, slurm: Slurm, choices: Choices, force: bool = False
) -> list[Path]:
    """Write all files of a cluster.

    Parameters
    ----------
    folder
        Where to; made if need be.
    database, slurm, choices
        What goes into them.
    force
        Whether files that are there are replaced.

    Raises
    ------
    SSEError
        A file is there already, or the folder cannot be written; then nothing is changed.
    """
    folder = folder.expanduser().resolve()
    texts = render_site(database, slurm, choices, folder)
    there = [name for name in texts if (folder / name).exists()]
    if there and not force:
        raise SSEError(
            f"{folder} has {', '.join(there)} already", mend="Name another folder, or pass --force"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write = write_private if name in SECRET_FILES else write_public
            write(folder / name, text, force)
    except OSError as error:
        raise SSEError(f"cannot write in {folder}: {error.strerror}") from error
    return [folder / name for name in texts]


def render_site(
    database: Database, slurm: Slurm, choices: Choices, folder: Path | None = None
) -> dict[str, str]:
    """Text of every file; without `folder` such that they work wherever they are put."""
    partition = choices.partition or (slurm.partition.name if slurm.partition else None)
    kinds = ("launchpad", "fworker", "qadapter")
    values = {
        "partition": partition and json_text(partition),
        "account": (choices.account or slurm.account)
        and json_text(choices.account or slurm.account),
        "walltime": slurm.walltime(4),
        "max_queued": choices.max_queued,
        "pre_rocket": pre_rocket(folder) if folder else "",
        "cluster": json_text(slurm.cluster or "sse"),
        "folder": {kind: json_text(folder / f"my_{kind}.yaml") for kind in kinds}
        if folder
        else None,
        "profiles": profiles(slurm, choices),
    }
    heads = {
        "my_launchpad.yaml": (
            "# FireWorks' database. Keep it to yourself.\n",
            database.launchpad(),
        ),
        "jobflow.yaml": ("# Where results go. Keep it to yourself.\n", database.jobflow()),
    }
    secret = {name: head + to_yaml(content) for name, (head, content) in heads.items()}
    names = ("my_fworker.yaml", "FW_config.yaml", "profiles.yaml", "my_qadapter.yaml")
    return {**secret, **{name: _render(name, values) for name in names}}


def profiles(slurm: Slurm, choices: Choices) -> list[tuple[str, str, dict[str, Any]]]:
    """Name, meaning and values of every profile, fitted to a node of the partition."""
    cores, memory = slurm.node()
    heavy: dict[str, Any]
    if choices.code == "dft":
        heavy = {"nodes": 1, "ntasks": cores, "processes": 1}
    else:
        workers = max(1, min(cores, 8, memory // MEMORY_OF_A_WORKER if memory else 8))
        heavy = {"nodes": 1, "ntasks": workers, "processes": workers}
    threads = min(cores, 8)
    one = {"nodes": 1, "ntasks": 1}
    return [
        ("relax", "relaxations", {"walltime": slurm.walltime(24), **heavy}),
        ("supercell", "forces, Born charges, gaps", {"walltime": slurm.walltime(24), **heavy}),
        ("postprocess", "phonons, descriptors, orderings", {"walltime": slurm.walltime(4), **one}),
        (
            "models",
            "training and screening",
            {"walltime": slurm.walltime(12), **one, "cpus_per_task": threads, "threads": threads},
        ),
    ]


def pre_rocket(folder: Path) -> str:
    """Shell commands that give a job the Python and the settings of this process."""
    activate = Path(sys.prefix) / "bin" / "activate"
    if sys.prefix != sys.base_prefix and activate.is_file():
        python = f"source {shlex.quote(str(activate))}"
    else:
        python = f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"
    variables = {
        "FW_CONFIG_FILE": folder / "FW_config.yaml",
        "JOBFLOW_CONFIG_FILE": folder / "jobflow.yaml",
    }
    return "\n".join([python, *(export_line(k, v) for k, v in variables.items())])


def export_line(name: str, value: Path) -> str:
    """Line of a shell that sets a variable."""
    return f"export {name}={shlex.quote(str(value))}"


def next_steps(folder: Path) -> list[str]:
    """What to do after the files are written, line by line."""
    folder = folder.expanduser().resolve()
    return [
        "add to ~/.bashrc:",
        f"  {export_line('FW_CONFIG_FILE', folder / 'FW_config.yaml')}",
        f"  {export_line('JOBFLOW_CONFIG_FILE', folder / 'jobflow.yaml')}",
        "then, in a folder that the nodes can see:",
        "  sse check",
        "  sse submit campaign.yaml",
        "  qlaunch -r rapidfire --nlaunches infinite",
    ]


def refuse_password(uri: str | None) -> None:
    """Refuse an address with a password: others see it in the list of processes.

    Raises
    ------
    SSEError
        There is one, or the address is none of MongoDB.
    """
    if uri is None:
        return
    scheme, _, rest = uri.partition("://")
    if scheme not in ("mongodb", "mongodb+srv") or not rest:
        raise SSEError("--uri is no address of MongoDB", mend="Write mongodb://host:port")
    if "@" in rest.split("/")[0]:
        raise SSEError(
            "--uri has a user or password, which others see in the list of processes",
            mend="Leave them out and pass --username; the password is asked for",
        )


def refuse_certificate(file: Path | None) -> None:
    """Refuse a file that holds no certificate to trust, before anything is written.

    Raises
    ------
    SSEError
        It cannot be read, or holds none.
    """
    import ssl

    if file is None:
        return
    try:
        ssl.create_default_context(cafile=str(file.expanduser()))
    except ssl.SSLError as error:
        raise SSEError(
            f"{file} holds no certificate", mend="Name a file that begins -----BEGIN CERTIFICATE"
        ) from error
    except OSError as error:
        raise SSEError(
            f"cannot read the certificate {file}: {error.strerror}",
            mend="Ask the database's keeper for it; the nodes must find it at the same path",
        ) from error


def find_password(username: str | None, ask: Any) -> str | None:
    """Password from ``SSE_MONGODB_PASSWORD`` or a hidden prompt; None without a user.

    The variable is taken away: commands that are started later do not inherit it.

    Raises
    ------
    SSEError
        There is neither the variable nor a terminal.
    """
    if username is None:
        return None
    password = os.environ.pop(PASSWORD_VARIABLE, None)  # the commands started from here have none
    if password:
        return password
    if not sys.stdin.isatty():
        raise SSEError(
            f"no password for {username}",
            mend="Set SSE_MONGODB_PASSWORD, or run this in a terminal and type it",
        )
    return ask(f"Password of {username} (not shown)", hide_input=True)


def json_text(value: Any) -> str:
    """A value as JSON, which is YAML, too."""
    import json

    return json.dumps(str(value), ensure_ascii=False)


def to_yaml(content: dict[str, Any]) -> str:
    """YAML with the keys in order and without None."""
    import yaml

    kept = {key: value for key, value in content.items() if value is not None}
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)


def _render(name: str, values: dict[str, Any]) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(  # noqa: S701 - YAML, whose texts go in as JSON
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.from_string((TEMPLATES / name).read_text()).render(**values)
