"""JSON documents, their RFC 8785 bytes and their hashes."""

from typing import Any

from hireling.rental.documents import canonical_json, document_hash
from hireling.rental.typed_data import to_hex

DOCUMENTS: tuple[dict[str, Any], ...] = (
    {},
    {"b": 1, "a": [True, False, None, -7]},
    {"nested": {"z": "last", "": "empty", "A": "capital before small"}},
    {
        "€": "euro",
        "\r": "return",
        "\ufb33": "dagesh",
        "1": "one",
        "😀": "smile",
        "\u0080": "control",
        "ö": "o",
    },
    {"escapes": '"\\/\b\f\n\r\t\u0000\u001f\u007f\u2028'},
    {"largest": 9_007_199_254_740_991, "smallest": -9_007_199_254_740_991, "beyond": "9007199254740992"},
)


def vectors() -> dict[str, Any]:
    """Return the vectors of documents; RFC 8785's own example of ordering is among them."""
    return {
        "documents": [
            {
                "document": document,
                "canonical": canonical_json(document).decode(),
                "hash": to_hex(document_hash(document)),
            }
            for document in DOCUMENTS
        ]
    }
