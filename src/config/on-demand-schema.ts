import type { Section } from "./section.ts";

/** Certificates for names that the configuration does not know. */
export const ON_DEMAND: Section = {
  ask: {
    doc: "Who knows the names: a path of the site's app, or the URL of another server. It is asked by GET with `?domain=NAME`; 2xx is yes, anything else no.",
    format: "onDemandAsk",
    default: null,
    required: true,
  },
  limit: {
    doc: "How many names may get their first certificate in a second, minute or hour.",
    format: "rate",
    default: "10/h",
  },
  wait: {
    doc: "How long a handshake waits for a first certificate, `20s` at most; the order goes on behind it.",
    format: "duration",
    default: "20s",
  },
};
