import type { Client, ClientOptions } from "openapi-fetch";
import type { components, operations, paths } from "./schema.js";

export type { components, operations, paths };

/** What the API calls a thing: `Schema<"Run">`. */
export type Schema<Name extends keyof components["schemas"]> = components["schemas"][Name];

export interface TrunnionOptions extends Omit<ClientOptions, "headers"> {
  /** The host's address, such as `https://trunnion.acme.example`. */
  baseUrl: string;
  /** An environment's or an operator's key. For servers: never in a page. */
  key?: string;
  /** A user's token, in that user's browser. */
  userToken?: string;
  headers?: Record<string, string>;
}

/** Calls a host with an API key, or, in a user's browser, with the user's token. */
export declare function createClient(options: TrunnionOptions): Client<paths>;
