import { destination, pino, type Logger } from "pino";
import type { LogConfiguration } from "../config/configuration.ts";
import { prettyStream } from "./pretty.ts";

export type { Logger } from "pino";

/**
 * The daemon's logger on standard output. In a worker lines are gathered up to a page, so that a request does not
 * cost a system call; no write is longer than what a pipe takes in one piece, since several processes share it.
 */
export function createLogger(configuration: LogConfiguration, process: "supervisor" | "worker"): Logger {
  const buffered = process === "worker";
  const stream = destination({
    fd: 1,
    sync: !buffered,
    minLength: buffered ? 4095 : 0,
    maxWrite: 4096,
    maxLength: 4 * 1024 * 1024,
  });
  if (buffered) setInterval(() => stream.flush(), 250).unref();
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
