"""The limits that the escrow sets when a rental opens. Source: the escrow's specification, row ``open``."""

from datetime import datetime

from hireling.rental.errors import AgreementRefused
from hireling.rental.money import UINT96_MAX
from hireling.rental.terms import Agreement

HOUR = 3600
DAY = 24 * HOUR
SHORTEST_WINDOW = HOUR
LONGEST_WINDOW = 30 * DAY
LONGEST_NOTICE = 30 * DAY
LONGEST_RENTAL = 366 * DAY
HIGHEST_FEE_BPS = 1000
NO_TOKEN = bytes(20)


def check_limits(agreement: Agreement) -> None:
    """Raise AgreementRefused if the escrow would refuse these terms at any time."""
    pay, rules = agreement.pay, agreement.rules
    _require(pay.token != NO_TOKEN, "no_token", "the token is the zero address")
    _require(
        pay.fee_bps <= HIGHEST_FEE_BPS, "fee_too_high", f"fee {pay.fee_bps} bps, at most {HIGHEST_FEE_BPS}"
    )
    for name, window in (("claim", pay.claim_window), ("challenge", rules.challenge_window)):
        _require(
            SHORTEST_WINDOW <= window <= LONGEST_WINDOW,
            "window_out_of_range",
            f"{name} window {window} s, allowed are {SHORTEST_WINDOW} to {LONGEST_WINDOW}",
        )
    _require(
        rules.notice <= LONGEST_NOTICE,
        "notice_too_long",
        f"notice {rules.notice} s, at most {LONGEST_NOTICE}",
    )
    _require(
        agreement.all_in <= UINT96_MAX,
        "too_much_money",
        f"{pay.max_total} and {rules.deposit} exceed 96 bits together",
    )
    _require(
        rules.fund_by <= rules.end_by,
        "times_out_of_order",
        f"fund_by {rules.fund_by} is after end_by {rules.end_by}",
    )
    _require(
        pay.start_at <= rules.end_by,
        "times_out_of_order",
        f"start_at {pay.start_at} is after end_by {rules.end_by}",
    )


def check_openable(agreement: Agreement, now: datetime) -> None:
    """Raise AgreementRefused if the escrow would refuse to open this rental at ``now``."""
    check_limits(agreement)
    at, rules = int(now.timestamp()), agreement.rules
    _require(at <= rules.fund_by, "too_late_to_fund", f"it is {at}, fund_by was {rules.fund_by}")
    _require(
        rules.end_by <= at + LONGEST_RENTAL,
        "ends_too_late",
        f"end_by {rules.end_by} is more than {LONGEST_RENTAL} s after {at}",
    )


def _require(condition: bool, code: str, detail: str) -> None:  # noqa: FBT001  the condition is the subject
    if not condition:
        raise AgreementRefused(code, detail)
