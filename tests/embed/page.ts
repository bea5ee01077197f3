// An ISV's page in TypeScript: what the package's types let it say, and what they do not.

import Alloy, { type Authenticated, type Client, type Outcome } from "trunnion-embed";

const alloy = Alloy({
  host: "https://integrations.acme.example",
  regions: { eu: "https://eu.acme.example" },
  theme: { accent: "#0a7", radius: "6px", dark: { accent: "#5fd3b3" } },
  locale: "de",
  strings: { doneHeading: "Geschafft!" },
});

export function everything(token: string): void {
  alloy.setToken(token);
  alloy.setRegion("eu");
  const heard = ({ success }: Outcome) => console.log(success);
  alloy.install({ integrationId: "6634b1f0a7c1d2e3f4a5b6c7", callback: heard, workflowSelection: true });
  alloy.install({ workflowIds: ["6634b1f0a7c1d2e3f4a5b6c8"], preFilledValues: [{ name: "note", value: "x" }], hide: true });
  alloy.edit({ workflowIds: "6634b1f0a7c1d2e3f4a5b6c8" });
  alloy.update({ integrationId: "6634b1f0a7c1d2e3f4a5b6c7", theme: { scheme: "dark" } });
  alloy.authenticate({ app: "bigcommerce", callback: ({ credentialId }: Authenticated) => console.log(credentialId) });
  alloy.authenticate();
  void alloy.getWorkflows().then((found) => found.data);
  void alloy.getIntegrations();
  void alloy.deactivate({ workflowId: "6634b1f0a7c1d2e3f4a5b6c8" });
  void alloy.reactivate({ workflowName: "Order created" });

  // @ts-expect-error: without a host there is nothing to show.
  Alloy();
  // @ts-expect-error: it is called `integrationId`.
  alloy.install({ integration: "6634b1f0a7c1d2e3f4a5b6c7" });
  // @ts-expect-error: light or dark.
  alloy.install({ theme: { scheme: "blue" } });
  // @ts-expect-error: installations are removed by the server.
  alloy.uninstall({});
}

// The types name every method, and the package has no other: the compiler sees to the first.
const named: Record<keyof Client, true> = {
  setToken: true, setRegion: true, install: true, edit: true, update: true, authenticate: true, getWorkflows: true,
  getIntegrations: true, deactivate: true, reactivate: true,
};
const missing = Object.keys(named).filter((method) => typeof alloy[method as keyof Client] !== "function");
const unnamed = Object.keys(alloy).filter((method) => !(method in named));
console.log(JSON.stringify({ missing, unnamed }));
