import { messageOf, PaddockError } from "../../errors.ts";
import type { RehearsalAnswer } from "../../supervisor/rehearsal-command.ts";
import type { DaemonStatus } from "../../supervisor/status.ts";
import type { Command } from "../command.ts";
import { commandConfiguration, CONFIG_OPTION } from "../configuration.ts";
import { askDaemon } from "../control-client.ts";
import { readArguments, UsageError } from "../usage.ts";
import { reportOf, summaryOf, type Outcome } from "./rehearsal-report.ts";
import { ORDER_PATIENCE } from "./renew.ts";

const usage = "certs rehearse [NAME] [--at-once N] [--config FILE] [--json]";

/** As many orders as the daemon has under way at a time; a fifth would wait there. */
const MOST_AT_ONCE = 4;

export const rehearseCertificates: Command = {
  usage,
  summary:
    "tries the whole order for the certificate of NAME, or for all, at the CA's staging directory and changes nothing; exit 1 if one would fail",
  async run(args) {
    const options = {
      ...CONFIG_OPTION,
      json: { type: "boolean" },
      "at-once": { type: "string", default: "1" },
    } as const;
    const { values, positionals } = readArguments(args, usage, options, 1);
    const atOnce = Number(values["at-once"]);
    if (!Number.isInteger(atOnce) || atOnce < 1 || atOnce > MOST_AT_ONCE)
      throw new UsageError(`--at-once is a number from 1 to ${MOST_AT_ONCE}`, usage);
    const { socket } = commandConfiguration(values.config).admin;
    const [name] = positionals;
    const wanted = name === undefined ? await allOf(socket) : [{ name, names: [name] }];
    const outcomes: Outcome[] = [];
    const json = values.json === true;
    await atMost(atOnce, wanted, async (certificate) => {
      const outcome = await rehearse(socket, certificate);
      outcomes.push(outcome);
      const progress = wanted.length === 1 ? "" : `[${outcomes.length}/${wanted.length}] `;
      const [first = "", ...rest] = reportOf(outcome);
      // With --json the report is for programs, and the progress for whoever waits.
      if (!json) process.stdout.write(`${[progress + first, ...rest].join("\n")}\n`);
      else if (wanted.length > 1) process.stderr.write(`${progress}${first}\n`);
    });
    if (json) process.stdout.write(`${JSON.stringify(outcomes, null, 2)}\n`);
    else if (wanted.length > 1) process.stdout.write(`${summaryOf(outcomes)}\n`);
    return outcomes.every(({ verdict }) => verdict === "passed" || verdict === "nothing") ? 0 : 1;
  },
};

interface Wanted {
  readonly name: string;
  readonly names: readonly string[];
}

async function allOf(socket: string): Promise<readonly Wanted[]> {
  const { certificates } = (await askDaemon(socket, "status")) as DaemonStatus;
  return certificates;
}

/** One that is refused does not keep the others from their turns. */
async function rehearse(socket: string, { name, names }: Wanted): Promise<Outcome> {
  let answer: RehearsalAnswer;
  try {
    answer = (await askDaemon(socket, "certs-rehearse", { name }, ORDER_PATIENCE)) as RehearsalAnswer;
  } catch (error) {
    if (!(error instanceof PaddockError) || error.code !== "ERR_REFUSED") throw error;
    const why = error.fix === undefined ? messageOf(error) : `${messageOf(error)}; ${error.fix}`;
    return { names, verdict: "refused", issuer: null, at: null, error: why, proofs: [] };
  }
  if ("nothing" in answer)
    return {
      names: answer.names,
      verdict: "nothing",
      issuer: null,
      at: null,
      error: answer.nothing,
      proofs: [],
    };
  const { outcome, ...rest } = answer.rehearsal;
  return { names: answer.names, verdict: outcome, ...rest };
}

async function atMost<T>(
  limit: number,
  items: readonly T[],
  task: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const line = async (): Promise<void> => {
    for (const item of queue) await task(item);
  };
  await Promise.all(Array.from({ length: limit }, line));
}
