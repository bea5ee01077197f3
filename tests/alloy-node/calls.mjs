// Calls methods of Alloy's own Node client, unmodified, one JSON object a line, and answers each with one line:
//   {"methods":true}                     → {"value":[every method's name]}
//   {"call":"getUser","args":["ada"]}    → {"value":…} or {"thrown":…}; null stands for an absent value
//
// The environment sends its requests to a host: HTTPS_PROXY.

import { createInterface } from 'node:readline';
import Alloy from 'alloy-node';

const alloy = new Alloy(process.env.ALLOY_KEY);

async function answer({ methods, call, args }) {
  if (methods) {
    const names = Object.getOwnPropertyNames(Alloy.prototype);
    return { value: names.filter((name) => name !== 'constructor') };
  }
  try {
    return { value: (await alloy[call](...args)) ?? null };
  } catch (error) {
    // The client throws the host's message itself: a text.
    return { thrown: error instanceof Error ? `${error.name}: ${error.message}` : (error ?? null) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line))));
}
