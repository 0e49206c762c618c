import type { Exchange } from "../exchange/exchange.ts";
import { httpDate } from "../exchange/http-date.ts";
import { reasonPhrase } from "../exchange/reason.ts";
import { fieldValue } from "../http1/fields.ts";
import { DEFAULT_PAGE_POLICY, defaultPage, escapeHtml } from "./default-page.ts";

/** What a visitor can do about it, in words that are not of HTTP. */
const WORDS: Readonly<Record<number, readonly [heading: string, sentence: string]>> = {
  400: [
    "The request was not understood",
    "Something in the address or in what the browser sent is not in order.",
  ],
  401: ["Please sign in", "This page is for people who have signed in."],
  403: ["This is not open to you", "The page exists, but it may not be shown to you."],
  404: ["There is nothing here", "The address may be mistyped, or the page may have moved or gone."],
  408: ["That took too long", "The request did not arrive in time. A slow connection can be the cause."],
  413: ["That is too large", "What was sent is larger than this site accepts."],
  421: ["There is no such site here", "This server does not serve the name that was asked for."],
  429: [
    "Slow down a little",
    "There were too many requests from your address. Wait a moment before the next one.",
  ],
  500: [
    "Something went wrong",
    "The fault is on our side. It has been noted, and it helps to tell us the number below.",
  ],
  502: ["The site does not answer", "It may be restarting. A moment later all may be well."],
  503: [
    "The site is busy",
    "More people are here than it can answer at once. A moment later all may be well.",
  ],
  504: [
    "The site takes too long to answer",
    "It was asked and did not answer in time. A moment later all may be well.",
  ],
};
const OTHER_CLIENT = ["The request could not be answered", "Something about it is not in order."] as const;
const OTHER_SERVER = ["The request could not be answered", "The fault is on our side."] as const;

/** After these the same request may be answered a moment later. */
const PASSING = new Set([408, 429, 500, 502, 503, 504]);

/** An answer of Paddock's own that is not the one that was asked for. */
export interface Notice {
  readonly status: number;
  readonly heading: string;
  readonly sentence: string;
  readonly kind: "client" | "server" | "maintenance";
  /** Names among the site's own pages, the most fitting first. */
  readonly pages: readonly string[];
  /** Further response fields. */
  readonly extra: readonly string[];
}

/**
 * Paddock's own answer to what failed: the site's own page or the default one, or application/problem+json (RFC 9457)
 * where the client does not want HTML. It tells the status and the request's id and nothing of the machine; the log
 * line tells the rest. What the app answers is never replaced, whatever its status.
 */
export function respondWithError(exchange: Exchange, status: number, extra: readonly string[] = []): void {
  const kind = status < 500 ? "client" : "server";
  const [heading, sentence] = WORDS[status] ?? (status < 500 ? OTHER_CLIENT : OTHER_SERVER);
  const pages = [String(status), status < 500 ? "4xx" : "5xx"];
  respondWithNotice(exchange, { status, heading, sentence, kind, pages, extra });
}

export function respondWithNotice(exchange: Exchange, notice: Notice): void {
  const { status } = notice;
  const html = wantsHtml(exchange.fields);
  const own = html ? ownPage(exchange, notice) : undefined;
  const again = PASSING.has(status) && (exchange.method === "GET" || exchange.method === "HEAD");
  const body = html
    ? (own ?? defaultPage({ ...notice, requestId: exchange.id, again }))
    : problem(notice, exchange.id);
  exchange.respond(
    status,
    [
      "server",
      "paddock",
      "content-type",
      html ? "text/html; charset=utf-8" : "application/problem+json",
      "x-request-id",
      exchange.id,
      "cache-control",
      "no-store",
      "x-content-type-options",
      "nosniff",
      "x-frame-options",
      "DENY",
      "referrer-policy",
      "same-origin",
      // A page of the site's own has styles and pictures that only its author knows.
      ...(html && own === undefined ? ["content-security-policy", DEFAULT_PAGE_POLICY] : []),
      "vary",
      "Accept",
      "date",
      httpDate(),
      ...notice.extra,
    ],
    Buffer.from(body),
  );
}

/** `{{request_id}}`, `{{status}}`, `{{title}}` and `{{message}}` are filled in; other braces are the page's own. */
function ownPage(exchange: Exchange, notice: Notice): string | undefined {
  const { errorPages } = exchange;
  if (errorPages === null) return undefined;
  const name = notice.pages.find((page) => Object.hasOwn(errorPages, page));
  if (name === undefined) return undefined;
  const values: Readonly<Record<string, string>> = {
    request_id: exchange.id,
    status: String(notice.status),
    title: notice.heading,
    message: notice.sentence,
  };
  return errorPages[name]?.replace(/\{\{\s*(request_id|status|title|message)\s*\}\}/g, (_, key: string) =>
    escapeHtml(values[key] ?? ""),
  );
}

function problem({ status, sentence, kind }: Notice, requestId: string): string {
  const detail = kind === "maintenance" ? { detail: sentence } : {};
  return `${JSON.stringify({ type: "about:blank", title: reasonPhrase(status), status, ...detail, requestId })}\n`;
}

/** Who names JSON and not HTML is a program; who names neither, nor anything of which HTML is a part, is one too. */
function wantsHtml(fields: readonly string[]): boolean {
  const accept = fieldValue(fields, "accept") ?? "";
  if (/text\/html/i.test(accept)) return true;
  if (/application\/(?:problem\+)?json/i.test(accept)) return false;
  return accept.trim() === "" || /text\/\*|\*\/\*|application\/xhtml\+xml/i.test(accept);
}
