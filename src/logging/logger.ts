import { pino, type Logger } from "pino";

export type { Logger } from "pino";

/** A logger that drops everything: for tests and for parts used without a daemon. */
export const silentLogger: Logger = pino({ level: "silent" });
