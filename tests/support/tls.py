"""A TLS server whose certificate nobody vouches for."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def self_signed(folder: Path) -> ssl.SSLContext:
    """Return the context of a server at 127.0.0.1 that signed its certificate itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


class Requests:
    """Counts what came through the handshake."""

    def __init__(self, url: str) -> None:
        self.url, self.count = url, 0


@asynccontextmanager
async def serving_tls(context: ssl.SSLContext) -> AsyncIterator[Requests]:
    requests = Requests("")

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.count += 1
        writer.close()

    listener = await asyncio.start_server(count, "127.0.0.1", 0, ssl=context)
    requests.url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}/"
    try:
        yield requests
    finally:
        listener.close()
