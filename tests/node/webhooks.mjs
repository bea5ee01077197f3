// Judges webhooks with Shopify's own library, which shares no code with the fake or the host.
//
// Reads requests from standard input, one JSON object a line, and answers each with one line:
//   {"do":"validate","secret":…,"headers":{…},"body":…} → {"valid":…,"reason":…,"topic":…,"domain":…,"webhookId":…}
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

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const answer = request.do === 'sign'
    ? { signature: await createSHA256HMAC(request.secret, request.body, HashFormat.Base64) }
    : await validate(request);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
