"""Where roots are: metering says what is confirmed, settlement where the rest will be announced."""

from typing import Any

from services.gateway.rpc import call


def placed(root: dict[str, Any]) -> dict[str, Any]:
    """Return a ReadingProof or DeviceDay with its announcement, also while that is pending."""
    return {**root, "announcement": root["announcement"] or call("settlement", "anchor_place")}
