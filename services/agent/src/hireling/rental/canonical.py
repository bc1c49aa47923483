"""Documents as we write them ourselves, recognised by one pattern that is derived from their model.

A model's JSON has one form: no space, fields in order, integers as decimal strings, lower-case hex. What
matches that form's pattern is what the model would accept, so its fields can be taken from the text at once;
what does not match may still be a document, and the model decides.
"""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from hireling.rental.signing import P256_SIGNATURE_BYTES, SECP256K1_SIGNATURE_BYTES
from hireling.rental.typed_data import Document
from hireling.rental.values import ByteString, Integer

# Bytes of any length are signatures here.
SIGNATURE_LENGTHS = (SECP256K1_SIGNATURE_BYTES, P256_SIGNATURE_BYTES)


def pattern_of(model: type[Document]) -> str:
    """Return the pattern of a model's JSON, with a group for each of its `leaves_of`.

    An integer is the digits, bytes are the hex after 0x, a list is everything between its brackets. Integers
    of the longest length and lists of lists are left to the model.
    """
    members = [f'"{name}":{_pattern(info.annotation, info)}' for name, info in model.model_fields.items()]
    return r"\{" + ",".join(members) + r"\}"


def leaves_of(model: type[Document]) -> Iterator[str]:
    """Return the names of what the pattern has groups for, in order."""
    for name, info in model.model_fields.items():
        if (inner := _document(info.annotation)) is not None:
            yield from leaves_of(inner)
        else:
            yield name


def list_items(text: str) -> list[str]:
    """Return the items of a list of integers, from what is between its brackets."""
    return text[1:-1].split('","') if text else []


def _pattern(annotation: Any, info: FieldInfo) -> str:
    if (inner := _document(annotation)) is not None:
        return pattern_of(inner)
    if get_origin(annotation) is tuple:
        element = _value(get_args(annotation)[0].__metadata__)
        most = next(extra.max_length for extra in info.metadata if hasattr(extra, "max_length"))
        return rf"\[((?:{element}(?:,{element}){{0,{most - 1}}})?)\]"
    if annotation is bool:
        return "(true|false)"
    return _captured(info.metadata)


def _captured(metadata: Any) -> str:
    """Return the pattern of a quoted value, its content captured."""
    quoted = _value(metadata)
    prefix = '"0x' if quoted.startswith('"0x') else '"'
    return f"{prefix}({quoted[len(prefix) : -1]})" + '"'


def _value(metadata: Any) -> str:
    marker = next(extra for extra in metadata if isinstance(extra, Integer | ByteString))
    if isinstance(marker, ByteString):
        lengths = marker.lengths or SIGNATURE_LENGTHS
        return '"0x(?:' + "|".join(f"[0-9a-f]{{{2 * length}}}" for length in lengths) + ')"'
    if marker.names is not None:
        return '"(?:' + "|".join(str(int(name)) for name in marker.names) + ')"'
    if marker.signed:
        raise TypeError("no document here has a negative number")
    # With a digit less than the largest value has, every number is in range.
    further_digits = len(str(marker.range[1])) - 2
    return f'"(?:0|[1-9][0-9]{{0,{further_digits}}})"'


def _document(annotation: Any) -> type[Document] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, Document) else None
