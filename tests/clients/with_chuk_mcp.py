"""The client of chuk-mcp, an implementation of its own. Argument: {"url": ...} or {"command": [...]} as JSON."""

import asyncio
import json
import os
import sys
import time
from contextlib import asynccontextmanager

from chuk_mcp import StdioParameters, stdio_client
from chuk_mcp.protocol.messages import send_message
from chuk_mcp.protocol.messages.initialize.send_messages import send_initialize
from chuk_mcp.protocol.messages.tools.send_messages import send_tools_call, send_tools_list
from chuk_mcp.transports.http.http_client import create_http_parameters_from_url, http_client


@asynccontextmanager
async def connected(target):
    if "url" in target:
        async with http_client(create_http_parameters_from_url(target["url"])) as streams:
            yield streams
    else:
        command, *args = target["command"]
        async with stdio_client(StdioParameters(command=command, args=args, env=dict(os.environ))) as streams:
            yield streams


async def main() -> None:
    async with connected(json.loads(sys.argv[1])) as streams:
        started = await send_initialize(*streams)
        listed = await send_tools_list(*streams)
        recorded = await send_tools_call(*streams, "memory_record_learning", {
            "topic": f"Retries need a jitter, found by chuk {time.time_ns()}",
            "content": "Without a jitter all clients retry in the same second.", "tags": ["retry"], "project": "shop",
        })
        found = await send_tools_call(*streams, "memory_query", {"query": "jitter", "project": "shop", "limit": 50})
        refused = await send_tools_call(*streams, "memory_query", {"querry": "jitter", "project": "shop"})
        resources = await send_message(*streams, "resources/list", {})
        prompts = await send_message(*streams, "prompts/list", {})
        sys.stdout.write(json.dumps({
            "protocol": started.protocolVersion,
            "tools": [tool.name for tool in listed.tools],
            "recorded": recorded.model_dump()["structuredContent"],
            "found": found.model_dump()["structuredContent"],
            "refused": {"isError": refused.isError, "error": refused.meta["dev.gitmem/error"]},
            "resources": [resource["uri"] for resource in resources["resources"]],
            "prompts": [prompt["name"] for prompt in prompts["prompts"]],
        }))


asyncio.run(main())
