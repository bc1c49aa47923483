"""One tree of errors that crosses processes, split by who must act.

HirelingError
├── CallerError         the caller must change something; repeating the same call fails again
│   ├── NotFound        it names something that does not exist
│   ├── Invalid         it is malformed or out of range
│   ├── Conflict        it contradicts the present state (a key already used, a wrong turn in a state machine)
│   ├── Refused         it is well formed, and a rule says no
│   └── Forbidden       this caller may not do that
├── OperatorError       whoever runs the platform must act: a bug, a missing setting, an empty account
├── Unavailable         nobody must act: nothing was done, try again later
└── OutcomeUnknown      nobody must act, but look before trying again: it may or may not have been done
"""

import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import ValidationError


class HirelingError(Exception):
    """An error with a code for machines, a sentence for people and JSON fields with the numbers.

    ``args`` is one JSON string: Nameko turns every argument of an exception into text, and so this is what
    survives the trip.
    """

    def __init__(self, code: str, detail: str, **fields: Any) -> None:
        self.code = code
        self.detail = detail
        self.fields = fields
        super().__init__(json.dumps({"code": code, "detail": detail, "fields": fields}, sort_keys=True))

    @classmethod
    def from_wire(cls, text: str) -> Self:
        """Build the error again from the one argument it travelled as.

        Raises ValueError where it is not one of ours.
        """
        parts = json.loads(text)
        if not isinstance(parts, dict) or set(parts) != {"code", "detail", "fields"}:
            raise ValueError(f"not a {cls.__name__} on the wire: {text[:200]}")
        error = cls.__new__(cls)
        HirelingError.__init__(error, parts["code"], parts["detail"], **parts["fields"])
        return error

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class CallerError(HirelingError):
    """The caller must change something."""


class NotFound(CallerError):
    """The call names something that does not exist."""


class Invalid(CallerError):
    """The call is malformed or out of range."""


def invalid_of(error: ValidationError, *, what: str) -> Invalid:
    """Return what a caller is told who sent something that does not parse: each mistake, and where it is."""
    problems = [
        {"at": ".".join(map(str, problem["loc"])), "problem": problem["msg"]}
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return Invalid("invalid", f"{what} has {error.error_count()} mistakes", errors=problems)


class Conflict(CallerError):
    """The call contradicts the present state."""


class Refused(CallerError):
    """The call is well formed, and a rule says no."""


class Forbidden(CallerError):
    """This caller may not do that."""


class OperatorError(HirelingError):
    """Whoever runs the platform must act."""


class Unavailable(HirelingError):
    """Nothing was done: safe to try again later."""


class OutcomeUnknown(HirelingError):
    """It may or may not have been done: look before trying again."""


ERRORS: Mapping[str, type[HirelingError]] = {
    error.__name__: error
    for error in (
        CallerError,
        NotFound,
        Invalid,
        Conflict,
        Refused,
        Forbidden,
        OperatorError,
        Unavailable,
        OutcomeUnknown,
    )
}
