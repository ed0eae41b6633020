// The TypeScript SDK, version 2. Argument: {"url": ...} or {"command": [...]}, and "era": "legacy" or "auto", as JSON.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { scenario } from "./scenario.mjs";

const target = JSON.parse(process.argv[2]);
const transport = target.url
  ? new StreamableHTTPClientTransport(new URL(target.url))
  : new StdioClientTransport({ command: target.command[0], args: target.command.slice(1), env: process.env });
const client = new Client({ name: "typescript-v2", version: "1" }, { versionNegotiation: { mode: target.era } });
await client.connect(transport);
await scenario(client, client.getNegotiatedProtocolVersion?.() ?? "unknown");
