"""What both clients do, once each has its session: one JSON command a line in, one JSON answer a line out.

Commands: {"do": "tools"} · {"do": "call", "tool", "arguments"} · {"do": "stream", "tool", "arguments", "acknowledge"?}
· {"do": "resources"} · {"do": "read", "uri"} · {"do": "prompts"} · {"do": "prompt", "name", "arguments"} · {"do": "end"}.

Each answer holds `result`, or `error` (the JSON-RPC error as the SDK gave it to its caller), and `http`: the status and
the headers of interest of every HTTP response since the answer before. Whatever the SDK does not hand to its caller as
a JSON-RPC error ends the program with exit code 1, after a line {"ended": …}.
"""

import json
import os
import sys
from typing import Any

import anyio

HEADERS_OF_INTEREST = ("www-authenticate", "retry-after", "ratelimit", "ratelimit-policy", "content-type", "mcp-session-id")


class Wire:
    """Collects what came over HTTP, which an SDK hides from its caller."""

    def __init__(self) -> None:
        self._responses: list[dict[str, Any]] = []

    async def response(self, response: Any) -> None:
        headers = {name: response.headers[name] for name in HEADERS_OF_INTEREST if name in response.headers}
        request = {"method": response.request.method, "url": str(response.request.url)}
        self._responses.append({**request, "status": response.status_code, **headers})

    def drain(self) -> list[dict[str, Any]]:
        seen, self._responses = self._responses, []
        return seen


def credential() -> dict[str, str]:
    """The headers that carry the key. It comes by the environment: arguments are public to every process."""
    key = os.environ.get("PORTCULLIS_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


def answer(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def plain(model: Any) -> Any:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


async def stream(session: Any, command: dict[str, Any]) -> dict[str, Any]:
    """Calls a tool and says when each notification came, relative to the others and to the result.

    With `acknowledge` the server sends the next notification only after that tool was called for the one before: a
    stream that anything on the way holds back never ends.
    """
    order: list[Any] = []
    async with anyio.create_task_group() as acknowledgements:

        async def acknowledge(number: int) -> None:
            await session.call_tool(command["acknowledge"], {**command["arguments"], "number": number})

        async def progress(number: float, total: float | None, message: str | None) -> None:
            order.append(int(number))
            answer(progress=int(number))
            # Not awaited here: this runs in the loop that reads the answers.
            if "acknowledge" in command:
                acknowledgements.start_soon(acknowledge, int(number))

        result = await session.call_tool(command["tool"], command["arguments"], progress_callback=progress)
        order.append("result")
    return {"order": order, "result": plain(result)}


async def perform(session: Any, command: dict[str, Any], uri: Any) -> Any:
    match command["do"]:
        case "tools":
            return [tool.name for tool in (await session.list_tools()).tools]
        case "call":
            return plain(await session.call_tool(command["tool"], command.get("arguments", {})))
        case "stream":
            return await stream(session, command)
        case "resources":
            return [str(resource.uri) for resource in (await session.list_resources()).resources]
        case "read":
            return plain(await session.read_resource(uri(command["uri"])))
        case "prompts":
            return [prompt.name for prompt in (await session.list_prompts()).prompts]
        case "prompt":
            return plain(await session.get_prompt(command["name"], command.get("arguments", {})))
        case other:
            raise ValueError(f"no such command: {other}")


async def serve(session: Any, connected: dict[str, Any], wire: Wire, refusal: type[Exception], uri: Any = str) -> None:
    """Answers commands until `end`, or the end of standard input."""
    answer(connected=connected, http=wire.drain())
    while line := await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
        command = json.loads(line)
        if command["do"] == "end":
            return
        try:
            outcome = {"result": await perform(session, command, uri)}
        except refusal as refused:
            outcome = {"error": plain(refused.error)}
        answer(**outcome, http=wire.drain())


def leaves(error: BaseException) -> list[BaseException]:
    """The faults inside (groups of) groups: the SDKs run in task groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


def run(main: Any, wire: Wire) -> None:
    try:
        anyio.run(main)
    except BaseException as error:
        faults = [f"{type(leaf).__name__}: {leaf}" for leaf in leaves(error)]
        answer(ended=faults, http=wire.drain())
        # A thread may still wait for a line that nobody will send.
        sys.stdout.flush()
        os._exit(1)
    os._exit(0)
