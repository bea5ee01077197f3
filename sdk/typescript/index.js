// A client of a Trunnion host: openapi-fetch with the host's paths as its types.

import createFetchClient from "openapi-fetch";

/** Calls a host with an API key, or, in a user's browser, with the user's token. */
export function createClient({ key, userToken, headers, ...options }) {
  const proof = {};
  if (key) proof.Authorization = `Bearer ${key}`;
  if (userToken) proof["X-Alloy-User-Token"] = userToken;
  return createFetchClient({ ...options, headers: { ...headers, ...proof } });
}
