import type { Section } from "./section.ts";

const RATE_LIMIT: Section = {
  requests: {
    doc: "How many requests of one key, on average: a number a second, minute or hour.",
    format: "rate",
    default: null,
    required: true,
  },
  burst: {
    doc: "How many more at once; as many as `requests` names unless given.",
    format: "count",
    default: null,
  },
  key: {
    doc: "What is counted: `address` (IPv6 by /64), or `header:NAME`; a request without that field counts by its address.",
    format: "rateKey",
    default: "address",
  },
};

const BASIC_AUTH: Section = {
  realm: { doc: "What the browser shows beside the question.", format: "realm", default: "restricted" },
  users: { doc: "User name to hash.", format: "passwordHashes", default: [] },
  usersFile: {
    doc: "File with `name:hash` in each line; read at start and at each reload.",
    format: "path",
    default: null,
  },
};

const FORWARD_AUTH: Section = {
  to: {
    doc: "The server that decides.",
    format: "authServer",
    default: null,
    required: true,
  },
  path: {
    doc: "The path to ask it for, where `to` has none.",
    format: "urlPath",
    default: null,
  },
  headers: {
    doc: "Fields of its answer that the app gets; the client's own are dropped.",
    format: "authFields",
    default: [],
  },
  timeout: {
    doc: "For the connection, and for the answer; then the request is refused.",
    format: "duration",
    default: "5s",
  },
};

/** What a site and a path may ask of a request before it is served; `variables` for the site of the environment. */
export function protectionKeys(variables: boolean): Section {
  const env = (name: string): { env: string } | undefined =>
    variables ? { env: `PADDOCK_${name}` } : undefined;
  const off = { format: "off", default: null } as const;
  return {
    deny: {
      doc: "Client addresses that get 403. It is asked before `allow`.",
      format: "clientNetworks",
      default: [],
      ...env("DENY"),
    },
    allow: {
      doc: "Where it is given, every other client address gets 403.",
      format: "clientNetworks",
      default: [],
      ...env("ALLOW"),
    },
    rateLimit: {
      doc: "A client that asks too often gets 429 with Retry-After.",
      nested: "one",
      section: RATE_LIMIT,
      or: off,
      ...env("RATE_LIMIT"),
    },
    methods: {
      doc: "Other methods get 405. GET stands for HEAD too.",
      format: "methods",
      default: [],
      ...env("METHODS"),
    },
    basicAuth: {
      doc: "A user name and password (RFC 7617).",
      nested: "one",
      section: BASIC_AUTH,
      or: off,
      ...env("BASIC_AUTH"),
    },
    forwardAuth: {
      doc: "Another server is asked whether a request may pass.",
      nested: "one",
      section: FORWARD_AUTH,
      or: off,
      ...env("FORWARD_AUTH"),
    },
  };
}
