// Signs and judges webhooks with HubSpot's own library, which shares no code with the fake or the host.
//
// Reads requests from standard input, one JSON object a line, and answers each with one line:
//   {"do":"sign","secret":…,"method":…,"url":…,"body":…,"time":…}                → {"signature":…}
//   {"do":"validate","secret":…,"method":…,"url":…,"body":…,"time":…,"signature":…} → {"valid":…,"reason":…}

import { createInterface } from 'node:readline';
import { Signature } from '@hubspot/api-client';

function options({ secret, url, body, time, signature }) {
  return { clientSecret: secret, url, requestBody: body, timestamp: Number(time), signature };
}

function validate(request) {
  try {
    return { valid: Signature.isValid({ ...options(request), method: request.method, signatureVersion: 'v3' }) };
  } catch (error) {
    return { valid: false, reason: error.message };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const answer = request.do === 'sign'
    ? { signature: Signature.getSignature(request.method, 'v3', options(request)) }
    : validate(request);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
