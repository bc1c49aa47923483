"""What to list a machine for: an owner's bounds and what was seen so far make a price, with its reason.

``rules`` is what the owner fixed, ``history`` what its agent saw, ``learning`` what that says of demand and
of how it answers to prices, ``earning`` what a price is expected to earn, ``deciding`` the decision and its
record, ``phrases`` the words for it. Pure: nothing is opened, read or waited for.
"""
