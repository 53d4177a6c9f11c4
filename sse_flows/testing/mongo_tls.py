"""Certificates of a test: an authority of its own, and a server that it vouches for.

Made by the ``openssl`` program in a folder of the test; nothing that anyone trusts.
"""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

NAMES = "DNS:localhost,IP:127.0.0.1"
"""What the server is called, unless a test wants a wrong name."""


@dataclass(frozen=True)
class Certificates:
    """Files of a server with TLS.

    Attributes
    ----------
    authority
        Certificate that clients trust (``tlsCAFile``).
    server
        Key and certificate of the server, in one file.
    """

    authority: Path
    server: Path


def why_no_certificates() -> str | None:
    """Why none can be made here; None if they can."""
    return None if shutil.which("openssl") else "no openssl program on PATH to make certificates"


def make_certificates(folder: Path, names: str = NAMES) -> Certificates:
    """Make an authority and a certificate of a server, good for two days.

    Parameters
    ----------
    folder
        Where to; made if need be.
    names
        Of the server, as openssl's subjectAltName has them.

    Raises
    ------
    subprocess.CalledProcessError
        openssl refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    authority = ["-x509", "-days", "2", "-subj", "/CN=authority of a test"]
    openssl("req", *authority, *key, "-keyout", "ca.key", "-out", "ca.pem")
    request = ["-subj", "/CN=server of a test", "-keyout", "server.key", "-out", "server.csr"]
    openssl("req", *key, *request)
    (folder / "names").write_text(f"subjectAltName={names}\n")
    signer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"]
    openssl("x509", "-req", "-days", "2", "-in", "server.csr", *signer, "-out", "server.crt")
    both = (folder / "server.key").read_text() + (folder / "server.crt").read_text()
    (folder / "server.pem").write_text(both)
    return Certificates(folder / "ca.pem", folder / "server.pem")


def server_context(file: Path) -> ssl.SSLContext:
    """Context of a server whose key and certificate are in a file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
