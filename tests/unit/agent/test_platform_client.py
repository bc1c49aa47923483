"""The marketplace over HTTP: typed errors, and repetitions only under one idempotency key."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from hireling.platform_calls import line
from hireling.platform_client import PlatformClient
from hireling.platform_errors import (
    PlatformFault,
    PlatformNotFound,
    PlatformRefused,
    PlatformUnreachable,
)
from hireling.platform_views import WalletView

WALLET = {"address": "0x" + "11" * 20, "balance": "5", "credit": "0", "nonce": "0", "added_later": 1}
Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "BETWEEN_TRIES_SECONDS", 0)


def faucet(handler: Handler) -> WalletView:
    async def ask() -> WalletView:
        client = PlatformClient("http://market", transport=httpx.MockTransport(handler))
        try:
            return await client.faucet(bytes.fromhex("11" * 20))
        finally:
            await client.close()

    return asyncio.run(ask())


class TestPlatformClient:
    def test_reads_what_it_knows_and_ignores_what_was_added(self) -> None:
        assert faucet(lambda _: httpx.Response(200, json=WALLET)).balance == 5

    def test_tries_again_under_the_same_idempotency_key(self) -> None:
        keys: list[str] = []

        def breaks_once(request: httpx.Request) -> httpx.Response:
            keys.append(request.headers["Idempotency-Key"])
            if len(keys) == 1:
                raise httpx.ReadTimeout("too slow")
            return httpx.Response(200, json=WALLET)

        assert faucet(breaks_once).balance == 5
        assert keys == [keys[0]] * 2

    def test_waits_for_the_answer_of_a_try_that_was_lost(self) -> None:
        answers = [
            httpx.Response(409, json={"code": "still_answering", "detail": "the first request is busy"}),
            httpx.Response(200, json=WALLET),
        ]
        assert faucet(lambda _: answers.pop(0)).balance == 5

    def test_gives_up_when_nobody_answers(self) -> None:
        def silent(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("connection refused")

        with pytest.raises(PlatformUnreachable, match="http://market does not answer"):
            faucet(silent)

    def test_tells_the_reason_of_a_refusal_and_does_not_repeat_it(self) -> None:
        calls: list[httpx.Request] = []

        def refuses(request: httpx.Request) -> httpx.Response:
            calls.append(request)
            return httpx.Response(409, json={"code": "faucet_off", "detail": "no test money here"})

        with pytest.raises(PlatformRefused, match="no test money here") as refused:
            faucet(refuses)
        assert (refused.value.status, refused.value.code, len(calls)) == (409, "faucet_off", 1)

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (httpx.Response(404, json={"code": "not_found", "detail": "no wallet"}), PlatformNotFound),
            (httpx.Response(500, json={"detail": "a bug"}), PlatformFault),
            (httpx.Response(503, json={"detail": "starting"}), PlatformUnreachable),
            (httpx.Response(409, json={"code": "still_answering", "detail": "busy"}), PlatformUnreachable),
            (httpx.Response(200, json={"address": "nonsense"}), PlatformFault),
            (httpx.Response(200, text="<html>a proxy</html>"), PlatformFault),
            (httpx.Response(400, text="<html>a proxy</html>"), PlatformFault),
        ],
    )
    def test_tells_who_has_to_act(self, answer: httpx.Response, error: type[Exception]) -> None:
        with pytest.raises(error):
            faucet(lambda _: answer)
