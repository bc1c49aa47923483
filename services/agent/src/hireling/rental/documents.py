"""JSON documents as one sequence of bytes (RFC 8785), and their hash.

What a signature over a document covers.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from hireling.rental.errors import Malformed
from hireling.rental.hashing import keccak256

# RFC 8785 writes numbers as IEEE doubles: beyond this, two integers share a spelling. Amounts travel as
# decimal strings.
LARGEST_JSON_INTEGER = (1 << 53) - 1
DEEPEST = 64
# What one remembered kind of document may hold, in names and in their characters: our own fit, and whoever
# sends names of their own fills no memory.
MOST_REMEMBERED_NAMES = 64
MOST_REMEMBERED_CHARACTERS = 1024


def canonical_json(document: BaseModel | Mapping[str, Any]) -> bytes:
    """Return the RFC 8785 bytes of a model or mapping.

    It may hold strings, integers, booleans, null, lists and mappings.

    Raises Malformed on a float (two languages print them differently), on an integer JSON cannot carry, on
    broken Unicode.
    """
    plain = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
    ordered = _ordered(plain, depth=0)
    try:
        return json.dumps(ordered, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise Malformed("bad_document", f"a text holds half a character: {error}") from error


def document_hash(document: BaseModel | Mapping[str, Any]) -> bytes:
    """Return the Keccak-256 of the document's canonical bytes."""
    return keccak256(canonical_json(document))


def _ordered(value: Any, *, depth: int) -> Any:
    if depth > DEEPEST:
        raise Malformed("bad_document", f"nested deeper than {DEEPEST} levels")
    # Most of what documents hold.
    if type(value) is str or value is None:
        return value
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        if abs(value) > LARGEST_JSON_INTEGER:
            raise Malformed("bad_document", f"{value} is beyond JSON's integers: write it as a string")
        return value
    if isinstance(value, list | tuple):
        return [_ordered(each, depth=depth + 1) for each in value]
    if isinstance(value, Mapping):
        # Most members are texts, which are as they should be.
        return {
            key: each
            if type(each := value[key]) is str and depth < DEEPEST
            else _ordered(each, depth=depth + 1)
            for key in _names_in_order(tuple(value))
        }
    raise Malformed("bad_document", f"a {type(value).__name__} has no place in a signed document: {value!r}")


def _names_in_order(names: tuple[object, ...]) -> tuple[object, ...]:
    """Return members' names in the order of RFC 8785; remembered where they are few and short."""
    if len(names) > MOST_REMEMBERED_NAMES:
        return _in_order(names)
    try:
        characters = len("".join(names))  # type: ignore[arg-type]  # what is no text is found so
    except TypeError:
        return _in_order(names)
    return _remembered_order(names) if characters <= MOST_REMEMBERED_CHARACTERS else _in_order(names)


def _in_order(names: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(sorted(names, key=_utf16))


# Documents of one kind have the same names.
_remembered_order = lru_cache(maxsize=1024)(_in_order)


def _utf16(key: object) -> bytes:
    if not isinstance(key, str):
        raise Malformed("bad_document", f"{key!r} is no member name: those are texts")
    return key.encode("utf-16-be", "surrogatepass")
