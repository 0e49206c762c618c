import { httpDate } from "../exchange/http-date.ts";
import { reasonPhrase } from "../exchange/reason.ts";

/** The answer to a message that never became an Exchange; the connection closes with it. */
export function refusal(status: number): string {
  const text = `${status} ${reasonPhrase(status)}\n`;
  return (
    `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\nserver: paddock\r\ncontent-type: text/plain\r\n` +
    `content-length: ${text.length}\r\ndate: ${httpDate()}\r\nconnection: close\r\n\r\n${text}`
  );
}
