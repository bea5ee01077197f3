// The connector: what the host calls, by the contract's names. A `result` of the contract is a return value or a
// thrown `Failure`; a JSON document is a text.

import { manifest as describe } from './manifest.js';
import { Failure, other, request, understood } from './vendor.js';

/** Most changes of one page. */
const LIMIT = 100;

const VERSION = '__VERSION__';
const MANIFEST = JSON.stringify(describe(VERSION));

/**
 * @param {string} what
 * @returns {() => never}
 */
const without = (what) => () => {
  throw other('unsupported', `the Parcels connector has no ${what}`);
};

/**
 * @param {string} text
 * @param {(input: any) => [string, string] | undefined} fault
 */
function read(text, fault) {
  const input = JSON.parse(text);
  const found = fault(input);
  if (found) throw new Failure({ tag: 'invalid-input', val: { field: found[0], message: found[1] } });
  return input;
}

/** @param {any} input @returns {[string, string] | undefined} */
function bookingFault(input) {
  if (typeof input !== 'object' || input === null) return ['', 'it is not an object'];
  const { reference, to, grams } = input;
  if (typeof reference !== 'string' || reference === '') return ['/reference', 'it is missing; name the parcel'];
  if (typeof to !== 'object' || to === null) return ['/to', 'it is missing; say who gets the parcel'];
  for (const part of ['name', 'street', 'city', 'country']) {
    if (typeof to[part] !== 'string' || to[part] === '') return [`/to/${part}`, 'it is missing'];
  }
  if (!Number.isInteger(grams) || grams < 1 || grams > 30_000) return ['/grams', 'it is a number from 1 to 30000'];
}

/** @param {any} parcel */
const isParcel = (parcel) => typeof parcel?.id === 'string' && Number.isSafeInteger(parcel.updated_ms);

/** @param {any} number */
const isNumber = (number) => Number.isSafeInteger(number) && number >= 0;

export const manifest = {
  describe: () => MANIFEST,
};

/** @satisfies {typeof import('trunnion:connector/actions@1.0.0')} */
export const actions = {
  run(call, text) {
    if (call.name !== 'book_parcel') throw other('unknown-action', `there is no action \`${call.name}\``);
    const input = read(text, bookingFault);
    const answer = request('POST', '/v1/parcels', { body: input, idempotencyKey: call.idempotencyKey });
    const parcel = understood('POST /v1/parcels', answer, isParcel);
    console.log(`booked parcel ${parcel.id}`);
    return { output: JSON.stringify(parcel), ext: [] };
  },
  runBatch: without('batches'),
  page: without('listings'),
  reconcile: without('look-up of lost answers: its actions carry a key'),
};

/** @satisfies {typeof import('trunnion:connector/triggers@1.0.0')} */
export const triggers = {
  // The courier keeps a feed of changes, each with a number: the cursor is the last one seen. Polling begins with what
  // changes from now on.
  poll(call, cursor) {
    if (call.name !== 'parcel_changed') throw other('unknown-trigger', `there is no trigger \`${call.name}\``);
    if (cursor === undefined) {
      const answer = request('GET', '/v1/changes/last');
      const { last } = understood('GET /v1/changes/last', answer, (answer) => isNumber(answer?.last));
      return { occurrences: [], cursor: JSON.stringify({ after: last }), more: false, ext: [] };
    }
    const { after } = JSON.parse(cursor);
    const answer = request('GET', `/v1/changes?after=${after}&limit=${LIMIT}`);
    const { changes } = understood(
      'GET /v1/changes',
      answer,
      (answer) =>
        Array.isArray(answer?.changes) &&
        answer.changes.every((/** @type {any} */ change) => isNumber(change?.number) && isParcel(change.parcel)),
    );
    return {
      occurrences: changes.map((/** @type {any} */ { number, parcel }) => ({
        account: call.account,
        occurrenceId: `parcel/${parcel.id}@${number}`,
        occurredAt: BigInt(parcel.updated_ms),
        data: JSON.stringify(parcel),
        ext: [],
      })),
      cursor: JSON.stringify({ after: changes.at(-1)?.number ?? after }),
      more: changes.length === LIMIT,
      ext: [],
    };
  },
  subscribe: without('webhooks'),
  unsubscribe: without('webhooks'),
  check: without('webhooks'),
  parse: without('webhooks'),
  handshake: without('webhooks'),
};

/** @satisfies {typeof import('trunnion:connector/connection@1.0.0')} */
export const connection = {
  check() {
    const account = understood('GET /v1/account', request('GET', '/v1/account'), (answer) => isNumber(answer?.id));
    return { id: String(account.id), title: String(account.name ?? account.id), parameters: '{}', ext: [] };
  },
};

/** @satisfies {typeof import('trunnion:connector/lookups@1.0.0')} */
export const lookups = {
  options: without('fields to look up'),
  schema: without('fields of its own per account'),
};
