"""The line to the marketplace: one request and its answer.

Timeouts everywhere, retries only where repeating does no harm, errors by who must act.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from hireling.platform_errors import PlatformFault, PlatformNotFound, PlatformRefused, PlatformUnreachable

TIMEOUT_SECONDS = 10.0
LONG_POLL_SECONDS = 8
# Each call is tried this often in all: what is signed counts once, however often it comes.
TRIES = 3
BETWEEN_TRIES_SECONDS = 0.3
# The code of a repetition that came before the first request was answered.
STILL_ANSWERING = "still_answering"
Answer = TypeVar("Answer")
Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """The first page of a list."""

    items: tuple[Item, ...]


class Line:
    """A line to one marketplace."""

    def __init__(self, gateway: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._gateway = gateway.rstrip("/")
        self._http = httpx.AsyncClient(
            base_url=self._gateway,
            timeout=TIMEOUT_SECONDS,
            transport=transport,
            headers={"User-Agent": "hireling"},
        )

    @property
    def gateway(self) -> str:
        """Return the marketplace's address."""
        return self._gateway

    async def close(self) -> None:
        """Free the connections."""
        await self._http.aclose()

    async def _page(self, path: str, query: Mapping[str, str | None], item: type[Item]) -> list[Item]:
        # Parsed from the text itself: the protocol's models take JSON's lists only there.
        return list((await self._get(path, Page[item], query=query)).items)  # type: ignore[valid-type]

    async def _get(
        self,
        path: str,
        answer: type[Answer],
        *,
        query: Mapping[str, str | None] | None = None,
        timeout: float = TIMEOUT_SECONDS,  # noqa: ASYNC109 - handed to httpx, which enforces it
    ) -> Answer:
        params = {name: value for name, value in (query or {}).items() if value is not None}
        return await self._send("GET", path, answer, params=params, timeout=timeout)

    async def _long_poll(self, path: str, known: Mapping[str, str], answer: type[Answer]) -> Answer:
        """Get what goes beyond what is ``known``, or what there is once the marketplace waits no longer."""
        query = {**known, "wait": str(LONG_POLL_SECONDS)}
        return await self._get(path, answer, query=query, timeout=LONG_POLL_SECONDS + TIMEOUT_SECONDS)

    async def _post(
        self,
        path: str,
        body: Mapping[str, Any],
        answer: type[Answer],
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        headers = {"Content-Type": "application/json", **(headers or {})}
        return await self._send("POST", path, answer, content=json.dumps(body), headers=headers)

    async def _send(self, method: str, path: str, answer: type[Answer], **request: Any) -> Answer:
        response: httpx.Response | None = None
        for left in reversed(range(TRIES)):
            try:
                response = await self._http.request(method, path, **request)
            except httpx.TransportError as error:
                if not left:
                    reason = str(error) or type(error).__name__
                    raise PlatformUnreachable(f"{self._gateway} does not answer: {reason}") from error
            else:
                if not _is_to_be_asked_again(response) or not left:
                    break
            await asyncio.sleep(BETWEEN_TRIES_SECONDS * (TRIES - left))
        if response is None:
            raise PlatformUnreachable(f"{self._gateway} does not answer")
        _raise_for_problem(response, f"{method} {path}")
        return _parse(TypeAdapter(answer), response.content, path)


def _is_to_be_asked_again(response: httpx.Response) -> bool:
    """Return whether the marketplace is not ready, or still busy with the try whose answer was lost."""
    return response.status_code in {502, 503, 504} or _problem_of(response).get("code") == STILL_ANSWERING


def _problem_of(response: httpx.Response) -> dict[str, Any]:
    """Return what a failed answer says of itself."""
    if response.is_success:
        return {}
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _raise_for_problem(response: httpx.Response, call: str) -> None:
    if response.is_success:
        return
    status, problem = response.status_code, _problem_of(response)
    code, detail = str(problem.get("code", "")), str(problem.get("detail") or problem.get("title") or "")
    if _is_to_be_asked_again(response):
        raise PlatformUnreachable(f"the marketplace is not ready: {detail or status} ({call})")
    if status >= 500 or not detail:
        raise PlatformFault(f"{call} answered {status} {detail or response.reason_phrase}")
    kind = PlatformNotFound if status == 404 else PlatformRefused
    raise kind(status=status, code=code, detail=detail, fields=problem)


def _parse(adapter: TypeAdapter[Answer], content: bytes, path: str) -> Answer:
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        raise PlatformFault(
            f"{path} answered something else than this version understands: {error}"
        ) from error
