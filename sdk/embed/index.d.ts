/** How the modal looks. A colour is any CSS colour; what is no such thing is left out. */
export interface Theme extends Palette {
  /** Light or dark whatever the user's system prefers. */
  scheme?: "light" | "dark";
  /** Corners: a CSS length. */
  radius?: string;
  /** A CSS font family that the user's system has. */
  font?: string;
  /** What is different where it is dark. */
  dark?: Palette;
}

export interface Palette {
  accent?: string;
  /** On the accent; black or white, whichever is easier to read, where it is absent. */
  accentText?: string;
  background?: string;
  surface?: string;
  text?: string;
  muted?: string;
  border?: string;
  danger?: string;
  success?: string;
}

export interface Look {
  theme?: Theme;
  /** A BCP 47 language, such as `de`; the browser's where it is absent. */
  locale?: string;
  /** Texts of your own, by the names in the host's EMBED.md. */
  strings?: Record<string, string>;
}

export interface Options extends Look {
  /** Where your Trunnion host is reached: `https://integrations.acme.example`. */
  host: string;
  /** Further hosts by name, for `setRegion`. */
  regions?: Record<string, string>;
}

export interface Outcome {
  success: boolean;
}

export interface Authenticated extends Outcome {
  connectionId?: string;
  credentialId?: string;
}

export interface InstallParams extends Look {
  /** Every workflow of an integration… */
  integrationId?: string;
  /** …or these. */
  workflowIds?: string | string[];
  versionIds?: string | string[];
  /** Values to begin with: `{ name, value }`, or `{ workflowId, fields: [{ name, value }] }`. */
  preFilledValues?: object[];
  /** Taken for compatibility; this host has no use for it. */
  outputOverride?: object[];
  /** Show the accounts although all are connected. */
  alwaysShowAuthentication?: boolean;
  /** Let the user choose among the workflows. */
  workflowSelection?: boolean;
  /** Install without showing anything, where nothing has to be asked. */
  hide?: boolean;
  title?: string;
  operation?: "install" | "edit" | "update";
  callback?: (outcome: Outcome) => void;
}

export interface AuthenticateParams extends Look {
  /** The app to connect; the user's connections where it is absent. */
  app?: string;
  integrationId?: string;
  category?: string;
  useUnifiedSettings?: string | boolean;
  title?: string;
  callback?: (outcome: Authenticated) => void;
}

/** A workflow by its id or its name. */
export interface WorkflowRef {
  workflowId?: string;
  workflowName?: string;
}

export interface Client {
  /** The token of one user, which your server asks the host for (`GET /users/{id}/token`). */
  setToken(token: string): void;
  setRegion(region: string): void;
  install(params: InstallParams): void;
  edit(params: InstallParams): void;
  update(params: InstallParams): void;
  authenticate(params?: AuthenticateParams): void;
  getWorkflows(): Promise<any>;
  getIntegrations(): Promise<any>;
  deactivate(workflow: WorkflowRef): Promise<any>;
  reactivate(workflow: WorkflowRef): Promise<any>;
}

export default function Alloy(options: Options): Client;
