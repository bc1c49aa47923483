"""Two encodings of what travels over MQTT: JSON, and CBOR for lines that cost by the byte.

One definition makes both: a model's fields in order. In CBOR (https://www.rfc-editor.org/rfc/rfc8949)
integers are integers, beyond 64 bits bignums (tag 2), and bytes are byte strings; there is no text but a
map's keys. An object has one hash, whichever way it came. The first byte tells which way: a JSON object
begins with ``{``, a CBOR map with 0xa0 to 0xb7 (more than 23 members, which none of ours has, begin
otherwise).
"""

from collections.abc import Iterable
from typing import Any, Literal, NoReturn, TypeVar

import cbor2
from pydantic import BaseModel

from hireling.rental.errors import Malformed

Encoding = Literal["json", "cbor"]
JSON, CBOR = "application/json", "application/cbor"
SMALLEST_MAP, LARGEST_MAP = 0xA0, 0xB7
# A batch's readings' samples' counters lie six deep.
DEEPEST = 6
BIGNUM = 2
# What the library would otherwise turn into dates, decimals, patterns and the like.
_OTHER_TAGS = (1, 3, 4, 5, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 261, 1004, 43_000, 55_799)

Model = TypeVar("Model", bound=BaseModel)


def is_cbor(payload: bytes) -> bool:
    """Return whether a message is in CBOR."""
    return bool(payload) and SMALLEST_MAP <= payload[0] <= LARGEST_MAP


def to_cbor(document: BaseModel) -> bytes:
    """Return the document in CBOR."""
    return cbor2.dumps(document.model_dump())


def parse(kind: type[Model], payload: bytes) -> Model:
    """Return the object that a message carries, in either encoding.

    Raises pydantic's ValidationError, and Malformed for what is no CBOR of ours.
    """
    if is_cbor(payload):
        return kind.model_validate(from_cbor(payload))
    return kind.model_validate_json(payload)


def from_cbor(payload: bytes) -> Any:
    """Return the values of a CBOR message: maps, arrays, integers, bytes, booleans.

    Raises Malformed for anything else, for a key that comes twice, for bytes after the end and for numbers
    and lengths that are not in their shortest form.
    """
    try:
        value = cbor2.loads(
            payload,
            tag_hook=_refuse_tag,
            semantic_decoders=dict.fromkeys(_OTHER_TAGS, _refuse_tag),
            max_depth=DEEPEST,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
        )
    except (cbor2.CBORDecodeError, ValueError) as error:
        raise Malformed("malformed", f"no CBOR: {error}") from error
    _check([value])
    if cbor2.dumps(value) != payload:
        raise Malformed("malformed", "CBOR not in its shortest form, or bytes after its end")
    return value


def _check(values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                raise Malformed("malformed", "a key in CBOR is a text")
            _check(value.values())
        elif isinstance(value, list):
            _check(value)
        elif not isinstance(value, int | bytes):
            raise Malformed("malformed", f"a value in CBOR is no {type(value).__name__}")


def _refuse_tag(*_: object) -> NoReturn:
    raise ValueError("a tag that is no bignum's")
