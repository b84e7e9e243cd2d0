"""TLS servers whose certificate nobody vouches for, and an authority for those that one can trust."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM


class Authority:
    """Signs certificates; keeps what it signs in *folder*, since OpenSSL reads files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())

    @cached_property
    def certificate(self) -> x509.Certificate:
        return self._sign("authority", self._key, None, days=1)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(PEM).decode()

    @property
    def path(self) -> Path:
        path = self._folder / "authority.pem"
        path.write_text(self.pem)
        return path

    def identity(self, host: str = "127.0.0.1", *, days: float = 1) -> Path:
        """Return a file with a key and a certificate for the address *host* that ends in *days*."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(host, key, self.certificate, days=days)
        path = self._folder / f"{host}-{days}.pem"
        path.write_bytes(
            key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + certificate.public_bytes(PEM)
        )
        return path

    def server(
        self, host: str = "127.0.0.1", *, days: float = 1, client_certs: bool = False
    ) -> ssl.SSLContext:
        """Return the context of a server; with *client_certs* it wants one that we signed."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.identity(host, days=days))
        if client_certs:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.pem)
        return context

    def _sign(
        self,
        host: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: x509.Certificate | None,
        *,
        days: float,
    ) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder(
                issuer.subject if issuer else name, name, key.public_key(), x509.random_serial_number()
            )
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        if issuer is not None:
            address = x509.IPAddress(ip_address(host))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def self_signed(folder: Path) -> ssl.SSLContext:
    """
    Return the context of a server at 127.0.0.1 that signed its certificate itself.

    Whoever has folder/server.pem as `SSL_CERT_FILE` trusts it.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(PEM)
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


@contextmanager
def threaded_tls(context: ssl.SSLContext, answer: bytes) -> Iterator[Requests]:
    """
    Serve TLS as most servers do, from blocking sockets.

    asyncio's servers hang up on a handshake that fails, without the alert that says why.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    requests = Requests(f"https://127.0.0.1:{listener.getsockname()[1]}/")

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.settimeout(5)
            tls = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            with suppress(OSError):
                tls.do_handshake()
                if tls.recv(65536):
                    requests.count += 1
                    tls.sendall(answer)
            # To close with something unread would be a RST, which can overtake the alert.
            with suppress(OSError), socket.socket(fileno=tls.detach()) as connection:
                connection.settimeout(5)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield requests
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
