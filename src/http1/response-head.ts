import { listHas, parseFieldLines, type Fields } from "./fields.ts";
import { CONTENT_LENGTH } from "./grammar.ts";
import { MessageError } from "./problem.ts";

export interface ResponseHead {
  readonly status: number;
  readonly fields: Fields;
  /** Bytes of the body; -1 means chunked; -2 means until the connection closes (RFC 9112 section 6.3). */
  readonly bodyLength: number;
  readonly keepAlive: boolean;
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?$/;

/** Reads a response head, the text up to and without the empty line. A breach is a MessageError with 502. */
export function parseResponseHead(text: string, requestMethod: string): ResponseHead {
  const lines = text.split("\r\n");
  const start = STATUS_LINE.exec(lines[0] as string);
  if (start === null) throw new MessageError(502, "the app's status line is not HTTP/1.x");
  const status = Number(start[2]);
  if (status > 599) throw new MessageError(502, `the app answered with status ${status}`);
  const fields = parseFieldLines(lines, 1, 502);
  let length = -2;
  let coding: string | undefined;
  for (let index = 0; index < fields.length; index += 2) {
    const value = fields[index + 1] as string;
    if (fields[index] === "content-length") {
      if (!CONTENT_LENGTH.test(value) || (length !== -2 && length !== Number(value))) {
        throw new MessageError(502, "the app's Content-Length is not one decimal number");
      }
      length = Number(value);
    } else if (fields[index] === "transfer-encoding") {
      if (coding !== undefined || value.toLowerCase() !== "chunked") {
        throw new MessageError(502, "the app's Transfer-Encoding is not chunked");
      }
      coding = value;
    }
  }
  if (coding !== undefined && length !== -2) {
    throw new MessageError(502, "the app sent Transfer-Encoding together with Content-Length");
  }
  const bodiless = requestMethod === "HEAD" || status < 200 || status === 204 || status === 304;
  const bodyLength = bodiless ? 0 : coding === undefined ? length : -1;
  const asked =
    start[1] === "1" ? !listHas(fields, "connection", "close") : listHas(fields, "connection", "keep-alive");
  return { status, fields, bodyLength, keepAlive: asked && bodyLength !== -2 };
}
