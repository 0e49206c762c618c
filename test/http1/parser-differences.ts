import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { MalformedCase } from "./malformed-case.ts";
import { MALFORMED } from "./malformed-corpus.ts";
import { pooled, send, statusOf } from "./wire.ts";

/** What Node's parser made of a case: a status, or `accepted` (the app got the whole request). */
export interface Difference {
  readonly malformed: MalformedCase;
  readonly node: string;
}

/**
 * Sends the corpus to a node:http server and gives the cases where it accepts, or answers by another class of
 * status than ours. The client closes its side after the last byte, so that nothing depends on time: a server
 * that waits for more is told that there is none.
 */
export async function findDifferences(): Promise<Difference[]> {
  const ended = new Set<number>();
  const server = createServer({ keepAliveTimeout: 1 }, (request, response) => {
    request.on("error", () => {});
    request.on("end", () => {
      ended.add(request.socket.remotePort ?? 0);
      response.end();
    });
    request.resume();
  });
  (server as unknown as { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const found = new Map<MalformedCase, string>();
  await pooled(MALFORMED, 16, async (one) => {
    const bytes = Buffer.from(one.bytes, "latin1");
    let reply = await send(port, [bytes], true);
    // Node closes with bytes unread, and then the reset may overtake its answer: only silence that stays is silence.
    for (let again = 0; again < 5 && reply.text === ""; again++) reply = await send(port, [bytes], true);
    const status = statusOf(reply.text);
    const node = ended.delete(reply.port)
      ? "accepted"
      : status === 0
        ? "closed without an answer"
        : `${status}`;
    const sameClass = Math.floor(status / 100) === Math.floor(one.status / 100);
    if (node === "accepted" || !sameClass) found.set(one, node);
  });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  return MALFORMED.filter((one) => found.has(one)).map((one) => ({
    malformed: one,
    node: found.get(one) as string,
  }));
}

/** Why it is the safer to refuse, for each family in which Node differs. */
const REASONS: Readonly<Record<string, string>> = {
  "byte in the target that no URI holds":
    "A fragment never goes over the wire (RFC 9112 section 3.2). A cache or a rule that cuts at `#` and an app that does not would see two paths in one request.",
  "form of the target":
    "`*` is for OPTIONS alone. It begins with no slash, so every rule by path prefix would be passed by.",
  "absolute target that Host does not confirm":
    "The target wins over Host for the app, or the other way round: whoever routes, caches or builds links by the other one is deceived (RFC 9112 section 3.2.2).",
  CONNECT:
    "No tunnel is offered either way. Node closes the connection without a word; 501 says why, in the log too.",
  "version that is not spoken":
    "Framing depends on the version. What Node takes as HTTP/0.9 or HTTP/2.0 it reads by HTTP/1.x rules that the peer did not agree to; for the others 505 tells the client what is wrong, where 400 does not.",
  "version that is none":
    "A request without a version has no fields by HTTP/0.9, and RTSP is another protocol: to read either as HTTP is a guess.",
  "space in the request line":
    "RFC 9112 section 3 has one space. Parsers that split at the first and at the last space find different targets in two.",
  "line that does not end with CRLF":
    "A line end that one parser takes and another does not is what request smuggling is made of. One empty line before a request is forgiven, as section 2.2 asks; a bare LF or CR or a second empty line is not.",
  "long request line":
    "Node counts the request line with the fields, 16 KB in all, and the app gets targets that no rule, log or cache key was made for. 8 KB is our limit, and 414 says what was too long.",
  "too many or too large fields":
    "Node counts bytes first and lets hundreds of fields pass. Gunicorn refuses more than 100, so that they would cost a worker and get the same answer.",
  "Host missing or twice":
    "Node keeps the first, others the last: the name that is routed by and the name that links are built from differ (RFC 9112 section 3.2 demands 400).",
  "Host that is no host":
    "Node does not look at the value. It ends in links, password-reset mails and cache keys (RFC 9112 section 3.2 demands 400 for an invalid one).",
  "Content-Length that is not one decimal number":
    "More digits than any real length needs overflow in a parser of fixed width behind us; 15 are enough for a petabyte.",
  "Transfer-Encoding twice":
    "Node joins the lines; a parser that looks at the first only finds no chunked and takes the body for the next request.",
  "Transfer-Encoding in HTTP/1.0":
    "HTTP/1.0 knows no transfer codings: a recipient of that version ends the body elsewhere (RFC 9112 section 6.1: treat the framing as faulty).",
  "transfer coding that is not implemented":
    "Node hands the coded bytes to the app as if they were the body. RFC 9112 section 6.1 asks for 501.",
  "unknown expectation":
    "Node looks for 100-continue anywhere in the field, and lets the rest pass unmet; RFC 9110 section 10.1.1 has 417 for it.",
  "chunk size":
    "A size of unlimited digits overflows in a parser of fixed width, and costs time before any body has come.",
  "chunk extension":
    "Nobody uses extensions, so nobody sees them: bytes without use beside each byte of body (CVE-2024-22019). Node has a limit of 16 KB; here a chunk line has 256 bytes. What is no extension by the grammar of RFC 9112 section 7.1.1 is refused: parsers differ in where such a line ends.",
  trailer: "Trailers are dropped here; without a limit of their own they are unbounded work after the body.",
};

const code = (text: string): string => `\`${text.replaceAll("\t", "\\t").replaceAll("|", "\\|")}\``;

/** docs/parser-differences.md, whole. */
export function renderDifferences(differences: readonly Difference[]): string {
  const families = [...new Set(differences.map((one) => one.malformed.family))];
  const sections = families.map((family) => {
    const reason = REASONS[family];
    if (reason === undefined) throw new Error(`no reason is written for: ${family}`);
    const rows = differences
      .filter((one) => one.malformed.family === family)
      .map((one) => `| ${code(one.malformed.name)} | ${one.malformed.status} | ${one.node} |`);
    return `## ${family}\n\n${reason}\n\n| Case | Paddock | Node |\n| --- | --- | --- |\n${rows.join("\n")}\n`;
  });
  return (
    "# Where Node's parser and ours differ\n\n" +
    "Generated by `node test/http1/parser-differences.ts`; `test/http1/node-parser.test.ts` fails when it is out of date.\n\n" +
    `Of the ${MALFORMED.length} malformed requests of \`test/http1/malformed-corpus.ts\`, these ${differences.length} get another answer from a \`node:http\` server with its defaults: ` +
    "it accepts them (the app is called and reads the whole body), closes without an answer, or answers with another class of status. All others it refuses as we do. " +
    "Each section gives the reason why it is the safer to refuse.\n\n" +
    sections.join("\n")
  );
}

export const DIFFERENCES_PATH = new URL("../../docs/parser-differences.md", import.meta.url);

if (import.meta.main) writeFileSync(DIFFERENCES_PATH, renderDifferences(await findDifferences()));
