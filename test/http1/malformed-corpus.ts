import type { MalformedCase } from "./malformed-case.ts";
import { FRAMING } from "./malformed-framing.ts";
import { LINES } from "./malformed-lines.ts";

/** Each with the status that it must get, by RFC 9110 and 9112 and the limits of src/http1/grammar.ts. */
export const MALFORMED: readonly MalformedCase[] = [...LINES, ...FRAMING];
