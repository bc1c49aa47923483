"""Bargaining one to many: what is signed in an auction, its rules, and how anybody recomputes its outcome.

Pure and deterministic: ``outcome_of(notice, bids, now)`` follows from what was signed and from the seconds in
which it came; nothing is opened, read or waited for. The rules in plain words: docs/auctions.md.
"""
