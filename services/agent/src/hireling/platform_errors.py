"""What can go wrong when an agent talks to the marketplace, split by who must act.

PlatformError
├── PlatformUnreachable   nobody: nothing is known to be done, try again later
├── PlatformFault         the marketplace's operator: it answered with a failure of its own, or with nonsense
└── PlatformRefused       the caller: the marketplace says why (problem+json: status, code, detail)
    └── PlatformNotFound  it names something that does not exist (yet)
"""

from collections.abc import Mapping


class PlatformError(Exception):
    """The marketplace did not do what was asked."""


class PlatformUnreachable(PlatformError):
    """The marketplace did not answer in time; whether it did what was asked is not known."""


class PlatformFault(PlatformError):
    """The marketplace failed, or answered with something that is not in its contract."""


class PlatformRefused(PlatformError):
    """The marketplace refused, with a code for programs and a sentence for people."""

    def __init__(
        self, *, status: int, code: str, detail: str, fields: Mapping[str, object] | None = None
    ) -> None:
        """``fields`` are what else the problem names."""
        self.status = status
        self.code = code
        self.detail = detail
        self.fields = fields or {}
        super().__init__(f"{detail} ({code})" if code else detail)


class PlatformNotFound(PlatformRefused):
    """There is no such thing at the marketplace, or not yet."""
