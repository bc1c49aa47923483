"""The message bus over TLS: whoever says ``amqps://`` speaks to a broker that proves its name, or to nobody.

kombu's own transport of that scheme checks the certificate against no name, keeps the handshake's timeout for
all that comes after it, and waits for ever for the goodbye of a broker that went silent. This one takes its
place for the whole process, Nameko's own connections included.
"""

import ssl
from typing import Any

from amqp.transport import SSLTransport as AmqpSSLTransport
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.pyamqp import Connection, SSLTransport

from services.chassis.settings import BusSettings

SCHEME = "amqps"


class Untrusted(OperationalError):
    """The broker's certificate is not by an authority that we know, is outdated, or is for another name."""


class _Line(AmqpSSLTransport):
    """One connection's bytes, encrypted, to a broker that proves its name by our authority."""

    def _wrap_socket(self, sock: Any, **_: Any) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=BusSettings().amqp_ca)
        return context.wrap_socket(sock, server_hostname=self.host, do_handshake_on_connect=False)

    def _setup_transport(self) -> None:
        super()._setup_transport()
        self.sock.settimeout(None)

    def _shutdown_transport(self) -> None:
        """Hang up without TLS's goodbye: AMQP has said its own, and a silent broker would never answer."""


class _Connection(Connection):
    def Transport(self, host: str, connect_timeout: float, *_: Any, **__: Any) -> _Line:  # noqa: N802 - amqp's name
        return _Line(host, connect_timeout=connect_timeout)


class VerifiedTransport(SSLTransport):
    """kombu's transport for ``amqps://``."""

    Connection = _Connection


TRANSPORT_ALIASES[SCHEME] = f"{__name__}:{VerifiedTransport.__name__}"


def untrusted(error: BaseException) -> Untrusted | None:
    """Return what is wrong with the broker's certificate, where this failure to connect says so."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return None
    return Untrusted(
        f"the message broker's certificate does not hold: {error.verify_message}; "
        "HIRELING_AMQP_CA names the file of the authority that it is by"
    )
