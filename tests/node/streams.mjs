// Verifies streams as AcmeCo's own server would: with the `standardwebhooks` package, and with Node's crypto as Alloy's
// documents show it, over the body that was read and written again. Shares no code with the host.
//
// Reads requests from standard input, one JSON object a line, and answers each with one line:
//   {"do":"standard","secret":…,"headers":{…},"body":…}             → {"valid":…,"reason":…}
//   {"do":"asymmetric","key":"whpk_…","headers":{…},"body":…}       → {"valid":…}
//   {"do":"alloy","key_url":…,"method":…,"url":…,"headers":{…},"body":…} → {"valid":…,"rewritten":…}

import { createPublicKey, verify } from 'node:crypto';
import { createInterface } from 'node:readline';
import { Webhook } from 'standardwebhooks';

async function standard({ secret, headers, body }) {
  try {
    return { valid: true, payload: new Webhook(secret).verify(body, headers) };
  } catch (error) {
    return { valid: false, reason: error.message };
  }
}

async function asymmetric({ key, headers, body }) {
  // The raw 32 bytes of an Ed25519 key, as a JSON web key has them.
  const x = Buffer.from(key.replace(/^whpk_/, ''), 'base64').toString('base64url');
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  const signed = Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`);
  const signatures = headers['webhook-signature'].split(' ').filter(it => it.startsWith('v1a,'));
  return { valid: signatures.some(it => verify(null, signed, publicKey, Buffer.from(it.slice(4), 'base64'))) };
}

async function alloy({ key_url, method, url, headers, body }) {
  const publicKey = await (await fetch(key_url)).text();
  const rewritten = JSON.stringify(JSON.parse(body));
  const signature = Buffer.from(headers['x-alloy-signature'], 'hex');
  return { valid: verify('sha256', Buffer.from(method + url + rewritten), publicKey, signature), rewritten };
}

const answers = { standard, asymmetric, alloy };

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const answer = await answers[request.do](request);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
