import type { Section } from "./section.ts";

/**
 * Below endings that lead nowhere public, and never outside of a network: `.local` is not among them, since whoever
 * answers first has the name (mDNS), nor `.localhost`, which is another machine for each machine.
 */
export const DEFAULT_NAMES: readonly string[] = ["*.internal", "*.test", "*.home.arpa"];

/** Loopback and private networks: RFC 1918, RFC 6598, RFC 4193, link-local. */
export const DEFAULT_CLIENTS: readonly string[] = [
  "127.0.0.0/8",
  "::1",
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "169.254.0.0/16",
  "fc00::/7",
  "fe80::/10",
];

export const DEFAULT_LISTEN = "[::]:8555";

const ACME: Section = {
  listen: {
    doc: "Where it is served: `https://HOST:PORT/directory`.",
    format: "listenAddress",
    default: DEFAULT_LISTEN,
  },
  hosts: {
    doc: "What clients call this machine by, names and addresses; its own certificate is for them. `[]` is its host name, `localhost`, `127.0.0.1` and `::1`.",
    format: "siteNames",
    default: [],
  },
  names: {
    doc: "What it may certify: a name, an address, or `*.NAME` for all that is below a name. Public names only where they are listed.",
    format: "siteNames",
    default: DEFAULT_NAMES,
  },
  clients: { doc: "Who may connect.", format: "networks", default: DEFAULT_CLIENTS },
  httpPort: {
    doc: "Port that http-01 is fetched from. Another one than 80 is for tests: clients cannot know of it.",
    format: "port",
    default: "80",
  },
};

export const LOCAL_CA: Section = {
  acme: {
    doc: "Serve as an ACME CA for other machines: `true`, or a mapping (docs/certificates-local-ca.md).",
    nested: "one",
    or: { format: "flag", default: false },
    section: ACME,
  },
};
