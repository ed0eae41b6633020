// The TypeScript SDK, version 1, as most hosts of today use it. Argument: {"url": ...} or {"command": [...]} as JSON.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { scenario } from "./scenario.mjs";

const target = JSON.parse(process.argv[2]);
const transport = target.url
  ? new StreamableHTTPClientTransport(new URL(target.url))
  : new StdioClientTransport({ command: target.command[0], args: target.command.slice(1), env: process.env });
const client = new Client({ name: "typescript-v1", version: "1" });
await client.connect(transport);
await scenario(client, transport.protocolVersion ?? "legacy");
