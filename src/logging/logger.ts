import { fstatSync } from "node:fs";
import { destination, pino, type Logger as PinoLogger } from "pino";
import type { LogConfiguration } from "../config/configuration.ts";
import { accessLine, type AccessEntry } from "./access-line.ts";
import { GatheredLines } from "./gathered-lines.ts";
import { prettyStream } from "./pretty.ts";

export type Logger = PinoLogger;

/** pipe(7), PIPE_BUF: what a pipe takes in one piece, bytes. */
const PIPE_BUF = 4096;
/** A file takes any write in one piece; with this many bytes its cost is small beside that of the lines. */
const FILE_PAGE = 64 * 1024;
/** What standard output may lag behind before lines are dropped, bytes: a reader that stands still stops nobody. */
const MOST_UNWRITTEN = 4 * 1024 * 1024;
/** Longest time that a line waits for its page to fill, milliseconds. */
const LONGEST_WAIT = 250;

/** The supervisor's logger: each line is written to standard output before the call returns. */
export function createLogger(configuration: LogConfiguration): Logger {
  return loggerOn(destination({ fd: 1, sync: true }), configuration);
}

export interface WorkerLogger {
  readonly log: Logger;
  /** Writes a line of the access log, with level error for what went wrong on our side or broke off. */
  readonly request: (entry: AccessEntry) => void;
  readonly flush: () => void;
}

/**
 * A worker's logger: lines are gathered to pages, and written by the thread pool. No write is longer than what
 * standard output takes in one piece, since several processes share it.
 */
export function createWorkerLogger(configuration: LogConfiguration): WorkerLogger {
  const size = fstatSync(1).isFile() ? FILE_PAGE : PIPE_BUF;
  const output = destination({
    fd: 1,
    sync: false,
    contentMode: "buffer",
    maxWrite: size,
    maxLength: MOST_UNWRITTEN,
  });
  const lines = new GatheredLines(output as unknown as { write(page: Buffer): unknown }, size);
  setInterval(() => lines.flush(), LONGEST_WAIT).unref();
  const flush = (): void => {
    lines.flush();
    output.flush();
  };
  const log = loggerOn(lines, configuration);
  const stream = configuration.format === "pretty" ? prettyStream(lines) : lines;
  const request = (entry: AccessEntry): void => {
    const level = entry.status >= 500 || (entry.broken && entry.status !== 499) ? "error" : "info";
    if (log.isLevelEnabled(level)) stream.write(accessLine(level, Date.now(), entry));
  };
  return { log, request, flush };
}

function loggerOn(stream: { write(line: string): unknown }, configuration: LogConfiguration): Logger {
  return pino(
    {
      level: configuration.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    configuration.format === "pretty" ? prettyStream(stream) : stream,
  );
}
