// Requests to the courier, and what its answers mean in the contract's words.

import { send } from 'trunnion:connector/http@1.0.0';
import { observe } from 'trunnion:connector/limits@1.0.0';
import { HOST } from './manifest.js';

/** @typedef {import('trunnion:connector/types@1.0.0').Error} ContractError */
/** @typedef {import('trunnion:connector/http@1.0.0').Response} Response */
/** @typedef {import('trunnion:connector/http@1.0.0').SendError} SendError */

/** The contract's errors, to be thrown. */
export class Failure extends Error {
  /** @param {ContractError} payload */
  constructor(payload) {
    super(payload.tag);
    this.payload = payload;
  }
}

/**
 * @param {string} code
 * @param {string} message
 */
export const other = (code, message) => new Failure({ tag: 'other', val: { code, message, ext: [] } });

/**
 * The JSON of a 2xx answer; anything else is thrown.
 * @param {'GET' | 'POST'} method
 * @param {string} path
 * @param {{ body?: unknown, idempotencyKey?: string }} [more]
 */
export function request(method, path, { body, idempotencyKey } = {}) {
  // Whether sending it once more could do it twice. The courier does not, for one key.
  const repeatable = method === 'GET' || idempotencyKey !== undefined;
  const name = `${method} ${path.split('?')[0]}`;
  /** @type {[string, string][]} */
  const headers = [['accept', 'application/json']];
  if (body !== undefined) headers.push(['content-type', 'application/json']);
  if (idempotencyKey !== undefined) headers.push(['idempotency-key', idempotencyKey]);
  let answer;
  try {
    answer = send({
      method,
      url: `${HOST}${path}`,
      headers,
      body: body === undefined ? { tag: 'empty' } : { tag: 'bytes', val: new TextEncoder().encode(JSON.stringify(body)) },
      auth: 'connection',
      timeoutMs: 20_000,
      redirects: 'follow',
      ext: [],
    });
  } catch (error) {
    throw unsent(error, name, repeatable);
  }
  const text = new TextDecoder().decode(answer.body);
  heed(answer);
  if (answer.status < 200 || answer.status > 299) throw refusal(answer, text, name, repeatable);
  try {
    return JSON.parse(text);
  } catch {
    throw lost(`${name} answered what is not JSON`, repeatable);
  }
}

/**
 * An answer that has what the connector reads of it; anything else is thrown.
 * @param {string} name
 * @param {any} answer
 * @param {(answer: any) => boolean} fits
 */
export function understood(name, answer, fits) {
  if (fits(answer)) return answer;
  const shown = JSON.stringify(answer).slice(0, 100);
  throw other('answer-not-understood', `${name} answered what this connector does not understand: ${shown}`);
}

/**
 * The answer is lost: nothing happened that a repetition would double, or nobody knows.
 * @param {string} message
 * @param {boolean} repeatable
 */
const lost = (message, repeatable) =>
  new Failure(
    repeatable ? { tag: 'unavailable', val: message } : { tag: 'uncertain', val: `${message}; it may have been carried out` },
  );

/**
 * @param {unknown} error
 * @param {string} name
 * @param {boolean} repeatable
 */
function unsent(error, name, repeatable) {
  const payload = /** @type {{ payload?: SendError }} */ (error).payload;
  if (!payload) return error;
  switch (payload.tag) {
    case 'denied':
      return other('denied', payload.val);
    case 'unauthorized':
      return new Failure({ tag: 'auth-expired', val: payload.val });
    case 'unreachable':
      return new Failure({ tag: 'unavailable', val: `${name}: ${payload.val}` });
    case 'timed-out':
    case 'interrupted':
      return lost(`${name}: ${payload.val}`, repeatable);
    case 'too-large':
      return other('answer-too-large', `${name}: ${payload.val}`);
    case 'other':
      return other(payload.val[0], `${name}: ${payload.val[1]}`);
  }
}

/**
 * @param {Response} answer
 * @param {string} text
 * @param {string} name
 * @param {boolean} repeatable
 */
function refusal(answer, text, name, repeatable) {
  const { status } = answer;
  let said = text.slice(0, 300);
  try {
    said = JSON.parse(text).message ?? said;
  } catch {
    // The text as it is says more than nothing.
  }
  const message = `${name} answered ${status}: ${said || 'no explanation'}`;
  const seconds = Number(header(answer, 'retry-after') || NaN);
  const wait = Number.isFinite(seconds) ? BigInt(Math.ceil(seconds * 1000)) : undefined;
  switch (true) {
    case status === 401:
      return new Failure({ tag: 'auth-expired', val: message });
    case status === 404 || status === 410:
      return new Failure({ tag: 'not-found', val: message });
    case status === 409 || status === 412:
      return new Failure({ tag: 'conflict', val: message });
    case status === 429:
      return new Failure({ tag: 'rate-limited', val: wait });
    case status === 503:
      return new Failure(wait === undefined ? { tag: 'unavailable', val: message } : { tag: 'rate-limited', val: wait });
    case status === 408 || status >= 500:
      return lost(message, repeatable);
    default:
      return new Failure({ tag: 'rejected', val: { status, message } });
  }
}

/**
 * Tells the host what the courier says about its limit.
 * @param {Response} answer
 */
function heed(answer) {
  const remaining = Number(header(answer, 'x-ratelimit-remaining') || NaN);
  const seconds = Number(header(answer, 'x-ratelimit-reset') || NaN);
  if (remaining >= 0 && seconds >= 0) observe('requests', BigInt(Math.floor(remaining)), BigInt(Math.ceil(seconds * 1000)));
}

/**
 * @param {Response} answer
 * @param {string} name
 */
const header = (answer, name) => answer.headers.find(([own]) => own === name)?.[1];
