"""What each event is called in front of people. Events without a sentence are for programs only."""

from collections.abc import Mapping

from rich.markup import escape

from hireling.announce import Field
from hireling.rental.money import Token, format_amount

AMOUNTS = frozenset(
    [
        "amount_due",
        "allowed",
        "acknowledged",
        "max_claimable",
        "ack_amount",
        "max_total",
        "deposit",
        "all_in",
        "paid",
        "fee",
        "refund",
        "total",
        "balance",
        "credit",
        "use",
        "limit",
        "reserved",
        "spent",
        "left",
        "price",
        "price_before",
        "amount",
        "least_deposit",
        "least_per_hour",
        "most_per_hour",
        "most_deposit",
    ]
)
SHOWN_HEX = 12

SENTENCES: Mapping[str, str] = {
    "device_ready": "machine [bold]{device}[/bold] earns for {owner}",
    "registered": "registered on the chain",
    "listed": "[green]listed[/green]: {title} ({kind})",
    "price_moved": "now asks [bold]{price} per {unit}[/bold] instead of {price_before}: {reason}",
    "price_would_move": "would ask {price} per {unit} instead of {price_before} (shadow): {reason}",
    "price_not_listed": "[yellow]the new price is not listed yet[/yellow]: {detail}; trying again",
    "price_history_damaged": "[yellow]{detail}[/yellow]; it learns anew, within the same bounds",
    "price_history_refused": "[yellow]the pricing agent keeps nothing[/yellow]: {detail}",
    "delegate_speaks": "the marketplace's delegate {delegate} bargains for this machine",
    "delegate_appointed": "[green]appointed[/green] delegate {delegate} of machine {device} for {days} days",
    "delegate": "delegate {delegate} {state}: full use for {least_per_hour} to {most_per_hour} an hour, "
    "{shortest} to {longest} s, a deposit of {least_deposit} to {most_deposit}, until {valid_until}",
    "delegate_move": "the marketplace's delegate, after {turn} offers: {move}; {reason}",
    "quoted": "offered {max_total}, all in {all_in}: {reason}",
    "approval_wanted": "[bold]needs your word[/bold]: {all_in} all in ({words}), by {answer_by}",
    "mandate_granted": "[green]granted[/green] for {hours} h: {total} in all, mandate {mandate}",
    "mandate": "mandate {mandate} {state}: of {total}, {reserved} promised, {spent} spent, {left} left",
    "stopped": "[bold]stopped[/bold]: no agent of {principal} that this is about signs anything more",
    "lifted": "the agents of {principal} may go on",
    "answered": "{words}: {approved}",
    "hook_failed": "[yellow]the approval hook failed[/yellow]: {detail}",
    "quote_left": "left a question unanswered: {reason}",
    "agreement_signed": "signed the agreement: {reason}",
    "agreed": "[green]agreed[/green]: rental {rental_id}",
    "funded_seen": "the chain holds the money (block {block})",
    "chain_unclear": "[yellow]waiting for the chain[/yellow]: {detail}",
    "waiting_for_unlock": "waiting for the renter to unlock",
    "booked": "[green]booked[/green] for {start_at}; Ctrl-C calls it off",
    "waiting_for_start": "booked for {start_at}; others are served until then",
    "called_off": "the renter called it off",
    "slot_taken": "[yellow]another rental was funded first[/yellow] for this time: this one's money returns",
    "declined": "[yellow]not served[/yellow]: {detail}",
    "unlocked": "[green]unlocked[/green] by challenge and answer",
    "suspended": "[yellow]suspended[/yellow]: {reason}",
    "resumed": "going on: {reason}",
    "rate_limited": "[yellow]too many readings at once[/yellow]: sending goes on in {wait_ms} ms",
    "message_refused": "[yellow]a message was refused[/yellow]: {detail} ({code})",
    "refused": "[red]reading {seq} was refused[/red]: {detail} ({code})",
    "ceiling_received": "the renter allows up to {allowed}",
    "ended": "[green]ended[/green]; due {amount_due}",
    "close_signed": "signed the close over {use}",
    "close_refused": "[yellow]the close does not count yet[/yellow]: {detail}",
    "bill_countersigned": "[green]bill countersigned[/green]: {total}, kept at {path}",
    "bill_refused": "[red]the bill is wrong[/red], and not countersigned: {detail}",
    "rental_expired": "the rental expired: {reason}",
    "rental_cancelled": "the rental is {state}",
    "paid_out_without_bill": (
        "the escrow has paid out rental {rental_id}; [yellow]the marketplace lost it with its bill[/yellow]:"
        " {use} by the last reading, which is kept at {path}"
    ),
    "agreement_handed_in": "[yellow]the marketplace had lost[/yellow] rental {rental_id}: handed it in",
    "not_resumed": "[red]rental {rental_id} does not go on[/red]: {reason}",
    "agreement_not_taken_back": "[yellow]the marketplace does not take a lost rental back[/yellow]: {detail}",
    "sending_lost_again": "[yellow]the marketplace lost readings[/yellow]: sending all after {after} again",
    "resumed_from_log": "going on with rental {rental_id} from reading {seq}",
    "log_cut": "[yellow]{detail}[/yellow]",
    "log_empty": "[yellow]{detail}[/yellow]; beginning anew",
    "log_damaged": "[red]{detail}[/red]",
    "disk_refuses": "[red]{reason}[/red]; the machine stands still until it does",
    "ledger_refuses": "[red]the ledger of mandates takes nothing[/red]: {detail}",
    "disk_takes_again": "the disk takes readings again, from number {seq} on",
    "bill_not_stored": "[yellow]the bill could not be stored[/yellow]: {reason}",
    "flagged": "[yellow]reading {seq} looks wrong[/yellow]: {reason} ({code})",
    "flag": "reading {seq}: {reason} ({code}); [bold]{money}[/bold]",
    "driver_failed": "[red]the machine failed[/red]: {reason}",
    "dead_on_arrival": "[red]dead on arrival[/red]: {detail}",
    "never_started": "[red]never started[/red]: {detail}",
    "machine_silent": "[yellow]the machine is silent[/yellow]: {detail}",
    "broker_lost": "[yellow]no line to the broker[/yellow]: {reason}; metering goes on, trying again",
    "platform_unreachable": "[yellow]no answer from the marketplace[/yellow]: {detail}; trying again",
    "auction": "{rule} auction [bold]{auction}[/bold]: {phase}, {came} bids; from {least} to {most}",
    "award": "{state}: {bidder} has it for {price}",
    "bid": "[green]bid[/green] {amount} in {auction}",
    "bid_made": "bids {amount} in auction {auction}: {reason}",
    "auction_left": "does not bid in auction {auction}: {reason}",
    "auction_won": "[green]won[/green] auction {auction}, for {amount}",
    "auction_lost": "lost auction {auction}",
    "bid_revealed": "revealed the bid of {amount}",
    "auction_verified": "the auction holds: {checks} checks",
    "wallet": "wallet {address} holds {balance}",
    "withdrawal": "sent {total} to {to}: {status}",
    "found": "found [bold]{title}[/bold] ({kind})",
    "quote": "quoted at most {max_total} and a deposit of {deposit}: [bold]{all_in} all in[/bold]",
    "counter_offer": "countered with at most {max_total}: {reason}",
    "accepted": "accepted at most {max_total}: {reason}",
    "funded": "[green]escrow funded[/green] by permit, relayed without gas of ours",
    "ceiling": "allowed up to {max_claimable}, acknowledged {ack_amount}",
    "reading_refused": "[red]reading {seq} is wrong[/red]: {detail}; nothing more is acknowledged",
    "settled": "[green]settled[/green]: paid {paid} (fee {fee}), {refund} back",
    "bill": "[green]bill verified[/green] ({checks} checks): {total}, kept at {path}",
    "x402_ready": "[green]open[/green] on port {port}; payments come to {address}",
    "x402_taken": "payment {payment} of {paid} is here, to be settled",
    "x402_paid": "payment {payment} is settled: {paid}",
    "x402_waiting": "[yellow]payment {payment} waits[/yellow]: {detail}",
    "x402_stuck": "[red]payment {payment} needs you[/red]: {detail}",
    "x402_finished": "[green]done[/green] {payment}: paid {paid}, spent {spent}, fee {fee}, back {refund}",
    "cancelled": "the rental was cancelled ({state}); everything returns",
}


def sentence(event: str, fields: Mapping[str, Field], token: Token | None) -> str | None:
    """Return the sentence for an event, in rich's markup, or None where people need none."""
    if event == "reading":
        counters = fields.get("counters")
        counted = counters.items() if isinstance(counters, dict) else ()
        shown = ", ".join(f"{int(count):,} {name}" for name, count in counted)
        due = _word("amount_due", fields["amount_due"], token)
        return f"reading {fields['seq']} ({fields['event_name']}): {shown}; due {due}"
    template = SENTENCES.get(event)
    if template is None:
        return None
    return template.format_map({name: _word(name, value, token) for name, value in fields.items()})


def _word(name: str, value: Field, token: Token | None) -> str:
    if name in AMOUNTS and isinstance(value, int) and token is not None:
        return format_amount(value, token)
    if isinstance(value, str) and value.startswith("0x") and len(value) > SHOWN_HEX:
        return f"{value[:SHOWN_HEX]}…"
    return escape(str(value))
