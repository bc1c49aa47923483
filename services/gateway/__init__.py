"""The only HTTP door: REST under /v1, live events, and a plain live page.

Owns: the answers it gave to requests that carried an idempotency key (a day long); nothing else. Hears and
says: no events; it calls listing, negotiation, metering and settlement.
Promises: every error is one problem+json; the same key with the same body gets the same answer; what it sends
conforms to openapi.json.
"""
