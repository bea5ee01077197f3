// What the connector says about itself. `describe` gives the same text at every call.

const parcel = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    reference: { type: 'string', description: 'Your own name for it' },
    status: { type: 'string', enum: ['created', 'collected', 'delivered', 'returned'] },
    tracking_number: { type: 'string' },
    updated_ms: { type: 'integer', description: 'Milliseconds since 1970' },
  },
  required: ['id', 'reference', 'status', 'tracking_number', 'updated_ms'],
};

const sample = {
  id: 'pcl_1042',
  reference: 'order-1001',
  status: 'created',
  tracking_number: 'PX1042NL',
  updated_ms: 1767225600000,
};

export const HOST = 'https://api.parcels.example';

/** @param {string} version */
export const manifest = (version) => ({
  manifest_version: 1,
  id: 'parcels',
  version,
  title: 'Parcels',
  help: 'An invented courier: books parcels and tells what becomes of them.',
  hosts: ['api.parcels.example'],
  connection: {
    schemes: [
      {
        id: 'key',
        title: 'API key',
        type: 'fields',
        fields: [{ name: 'api_key', title: 'API key', help: 'Settings > API' }],
        place: [{ in: 'header', name: 'authorization', value: 'Bearer {{secret:api_key}}' }],
      },
    ],
  },
  triggers: [
    {
      id: 'parcel_changed',
      title: 'Parcel changed',
      help: 'A parcel was booked, collected, delivered or returned.',
      source: 'poll',
      interval_ms: 300_000,
      min_interval_ms: 60_000,
      overlap_ms: 0,
      cursor_format: { writes: 1, reads: [1] },
      dedup: { from: 'occurrence' },
      schema: parcel,
      sample,
    },
  ],
  actions: [
    {
      id: 'book_parcel',
      title: 'Book parcel',
      help: 'Has a parcel collected. The same piece of work never books twice: the courier knows its key.',
      input: {
        type: 'object',
        properties: {
          reference: { type: 'string', title: 'Reference', description: 'Your own name for it' },
          to: {
            type: 'object',
            title: 'Recipient',
            properties: {
              name: { type: 'string', title: 'Name' },
              street: { type: 'string', title: 'Street and number' },
              city: { type: 'string', title: 'City' },
              country: { type: 'string', title: 'Country', description: 'Two letters, as in NL' },
            },
            required: ['name', 'street', 'city', 'country'],
            additionalProperties: false,
          },
          grams: { type: 'integer', title: 'Weight', description: 'Grams, at most 30,000' },
        },
        required: ['reference', 'to', 'grams'],
        additionalProperties: false,
      },
      output: parcel,
      sample_input: {
        reference: 'order-1001',
        to: { name: 'Ada Lovelace', street: 'Herengracht 1', city: 'Amsterdam', country: 'NL' },
        grams: 750,
      },
      sample_output: sample,
      repeat: 'key',
      buckets: ['requests'],
    },
  ],
  buckets: [{ id: 'requests', capacity: 60, window_ms: 60_000 }],
});
