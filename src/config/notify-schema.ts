import type { Section } from "./section.ts";

const MAIL: Section = {
  command: {
    doc: "Program and arguments, run without a shell and with an empty environment but for PATH and LANG; it reads the message on its standard input and has 30 seconds.",
    format: "command",
    default: ["/usr/sbin/sendmail", "-t", "-i"],
  },
  to: {
    doc: "Recipients.",
    format: "emails",
    default: [],
  },
  from: {
    doc: "Sender; where it is not given, the mail program says.",
    format: "email",
    default: null,
  },
};

/** Who is told of a certificate in trouble. */
export const NOTIFY: Section = {
  webhook: {
    doc: "Gets a POST with a JSON body, docs/certificates-journal.md; its `text` is what chat services show. It never appears in a message or a log.",
    format: "webhook",
    default: null,
    sensitive: true,
    env: "PADDOCK_NOTIFY_WEBHOOK",
  },
  mail: { doc: "A message by a mail program.", nested: "one", section: MAIL, env: "PADDOCK_NOTIFY_MAIL" },
};
