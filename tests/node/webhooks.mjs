// Judges webhooks and callbacks with Shopify's own library, which shares no code with the fake or the host.
//
// Reads requests from standard input, one JSON object a line, and answers each with one line:
//   {"do":"validate","secret":…,"headers":{…},"body":…} → {"valid":…,"reason":…,"topic":…,"domain":…,"webhookId":…}
//   {"do":"callback","secret":…,"query":{…}}            → {"valid":…,"reason":…}
//   {"do":"sign","secret":…,"body":…}                   → {"signature":…}

import { createInterface } from 'node:readline';
import '@shopify/shopify-api/adapters/node';
import { ApiVersion, LogSeverity, shopifyApi } from '@shopify/shopify-api';
import { createSHA256HMAC, HashFormat } from '@shopify/shopify-api/runtime';

function library(secret) {
  return shopifyApi({
    apiKey: 'acmeco',
    apiSecretKey: secret,
    apiVersion: Object.values(ApiVersion).at(-1),
    hostName: 'trunnion.example',
    isEmbeddedApp: false,
    logger: { level: LogSeverity.Error },
  });
}

async function validate({ secret, headers, body }) {
  // What a Node server hands over: a method, a path and header names in lower case.
  const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const rawRequest = { method: 'POST', url: '/hooks/x', headers: lower };
  return library(secret).webhooks.validate({ rawBody: body, rawRequest });
}

async function callback({ secret, query }) {
  try {
    return { valid: await library(secret).utils.validateHmac(query) };
  } catch (error) {
    return { valid: false, reason: error.message };
  }
}

const answers = {
  validate,
  callback,
  sign: async ({ secret, body }) => ({ signature: await createSHA256HMAC(secret, body, HashFormat.Base64) }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const answer = await answers[request.do](request);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
