// Uses the TypeScript client against a host, and says what came of it as one line of JSON.

import { createClient, type Schema } from "./trunnion-api/index.js";

declare const process: { env: Record<string, string | undefined> };

const baseUrl = process.env["TRUNNION_URL"] ?? "";
const trunnion = createClient({ baseUrl, key: process.env["TRUNNION_KEY"] ?? "" });

function taken<T>({ data, error }: { data?: T; error?: unknown }): T {
  if (data === undefined) throw new Error(JSON.stringify(error));
  return data;
}

const made = taken(await trunnion.POST("/2024-03/users", { body: { username: "typed", fullName: "Typed" } }));
const user = taken(await trunnion.GET("/2024-03/users/{user}", { params: { path: { user: made.userId } } }));

const integration: Schema<"Integration"> = taken(await trunnion.POST("/v1/integrations", { body: { app: "bigcommerce" } }));
const definition: Schema<"Definition"> = {
  name: "Typed",
  trigger: { type: "request" },
  steps: [{ id: "keep", type: "set", value: "{{ trigger.body }}" }],
};
const body = { integration_id: integration.id, definition };
const workflow = taken(await trunnion.POST("/v1/workflows", { body }));
const release = taken(await trunnion.POST("/v1/workflows/{workflow}/releases", { params: { path: { workflow: workflow.id } } }));

const refused = await trunnion.GET("/v1/runs/{run}", { params: { path: { run: "0".repeat(24) } } });
const runs = taken(await trunnion.GET("/v1/runs", { params: { query: { limit: 5 } } }));

const { token } = taken(await trunnion.GET("/2024-03/users/{user}/token", { params: { path: { user: made.userId } } }));
const browser = createClient({ baseUrl, userToken: token });
const seen = taken(await browser.GET("/2024-03/workflows", {}));

// @ts-expect-error: there is no such path.
void (() => trunnion.GET("/v1/no-such-thing"));
// @ts-expect-error: a body without what it needs.
void (() => trunnion.POST("/2024-03/users", { body: {} }));

console.log(JSON.stringify({
  user,
  release: release.number,
  refused: [refused.response.status, refused.error?.code],
  runs: runs.data.length,
  seen: seen.data.map(({ name }) => name),
}));
