"""The client of fastmcp. Argument: {"url": ...} or {"command": [...]} as JSON."""

import asyncio
import json
import os
import sys
import time

from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport


async def main() -> None:
    target = json.loads(sys.argv[1])
    if "url" in target:
        transport = StreamableHttpTransport(target["url"])
    else:
        transport = StdioTransport(target["command"][0], target["command"][1:], env=dict(os.environ))
    async with Client(transport) as client:
        tools = await client.list_tools()
        recorded = await client.call_tool("memory_record_learning", {
            "topic": f"Retries need a jitter, found by fastmcp {time.time_ns()}",
            "content": "Without a jitter all clients retry in the same second.", "tags": ["retry"], "project": "shop",
        })
        found = await client.call_tool("memory_query", {"query": "jitter", "project": "shop", "limit": 50})
        refused = await client.call_tool("memory_query", {"querry": "jitter", "project": "shop"}, raise_on_error=False)
        sys.stdout.write(json.dumps({
            "protocol": "auto",
            "tools": [tool.name for tool in tools],
            "recorded": recorded.structured_content,
            "found": found.structured_content,
            "refused": {"isError": refused.is_error, "error": refused.meta["dev.gitmem/error"]},
            "resources": [str(resource.uri) for resource in await client.list_resources()],
            "prompts": [prompt.name for prompt in await client.list_prompts()],
        }))


asyncio.run(main())
