"""What can keep the embedded marketplace from running, each a sentence for the person at the terminal."""


class EmbeddedError(Exception):
    """The marketplace cannot start or go on; the message says why and what mends it."""


class PortBusy(EmbeddedError):
    """Another program listens where a child must."""


class NotReady(EmbeddedError):
    """A child did not come up in time, or died while starting."""
