import { certificateAccount } from "./certs/account.ts";
import { importCertificates } from "./certs/import.ts";
import { listCertificates } from "./certs/list.ts";
import { testNotification } from "./certs/notify-test.ts";
import { renewCertificate } from "./certs/renew.ts";
import { rehearseCertificates } from "./certs/rehearse.ts";
import { revokeCertificate } from "./certs/revoke.ts";
import { showCertificate } from "./certs/show.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./usage.ts";

/** `paddock certs WORD …`: each word is a command of its own. */
const WORDS: Readonly<Record<string, Command>> = {
  list: listCertificates,
  show: showCertificate,
  renew: renewCertificate,
  rehearse: rehearseCertificates,
  revoke: revokeCertificate,
  account: certificateAccount,
  "notify-test": testNotification,
  import: importCertificates,
};

const usage = `certs ${Object.keys(WORDS).join("|")} …`;

export const certsCommand: Command = {
  usage,
  summary: Object.values(WORDS)
    .map((word) => `${word.usage}\n            ${word.summary}`)
    .join("\n        "),
  words: WORDS,
  async run(args) {
    const [word, ...rest] = args;
    const command = word !== undefined && Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
    if (command !== undefined) return await command.run(rest);
    const can = `certs can ${Object.keys(WORDS).join(", ")}`;
    throw new UsageError(word === undefined ? can : `certs cannot "${word}"; ${can}`, usage);
  },
};
