// What every client does with a memory: list, record, search, get refused. The report goes to standard output as JSON.
export async function scenario(client, protocol) {
  const { tools } = await client.listTools();
  const call = (name, args) => client.callTool({ name: `memory_${name}`, arguments: args });
  const recorded = await call("record_learning", {
    topic: `Retries need a jitter, found by ${process.argv[1].split("/").pop()} ${process.argv[2].length}${Date.now()}`,
    content: "Without a jitter all clients retry in the same second.",
    tags: ["retry"],
    project: "shop",
  });
  const found = await call("query", { query: "jitter", project: "shop", limit: 50 });
  const refused = await call("query", { querry: "jitter", project: "shop" });
  const { resources } = await client.listResources();
  const { prompts } = await client.listPrompts();
  console.log(JSON.stringify({
    protocol,
    tools: tools.map((tool) => tool.name),
    recorded: recorded.structuredContent,
    found: found.structuredContent,
    refused: { isError: refused.isError, error: refused._meta["dev.gitmem/error"] },
    resources: resources.map((resource) => resource.uri),
    prompts: prompts.map((prompt) => prompt.name),
  }));
  await client.close();
}
