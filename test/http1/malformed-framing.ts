import { bodies, CONTROLS, get, heads, hex, post, request, type MalformedCase } from "./malformed-case.ts";

const host = (...lines: string[]): string => `${["GET / HTTP/1.1", ...lines].join("\r\n")}\r\n\r\n`;
const length = (value: string): readonly [string, string] => [
  value === "" ? "empty" : value,
  `${request("POST / HTTP/1.1", `Content-Length: ${value}`)}hello`,
];
const extended = (extension: string): readonly [string, string] => [
  `5${extension}`,
  `5${extension}\r\nhello\r\n0\r\n\r\n`,
];
const coding = (value: string): readonly [string, string] => [value, post(`Transfer-Encoding: ${value}`)];

/** Host, framing fields, expectations and chunked bodies. */
export const FRAMING: readonly MalformedCase[] = [
  ...heads("Host missing or twice", 400, [
    ["missing", "GET / HTTP/1.1\r\nX-A: 1\r\n\r\n"],
    ["no field at all", "GET / HTTP/1.1\r\n\r\n"],
    ["missing beside an absolute target", "GET http://example.com/ HTTP/1.1\r\nX-A: 1\r\n\r\n"],
    ["twice, alike", host("Host: example.com", "Host: example.com")],
    ["twice, unlike", host("Host: example.com", "Host: evil.test")],
    ["twice, apart", host("Host: example.com", "X-A: 1", "HOST: evil.test")],
    ["twice in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a.test\r\nHost: b.test\r\n\r\n"],
  ]),
  ...heads("Host that is no host", 400, [
    ...["a.test, b.test", "a.test b.test", "a.test/", "a.test/path", "http://a.test", "user@a.test"].map(
      (value) => [value, host(`Host: ${value}`)] as const,
    ),
    ...[
      "a.test?x",
      "a.test#x",
      "a.test:http",
      "a.test:-1",
      "a.test:65536",
      "a.test:99999",
      "a.test:123456",
      "a.test:80:80",
      "a.test::",
      "[::1]:65536",
    ].map((value) => [value, host(`Host: ${value}`)] as const),
    ...["a%2etest", "a\\test", "<script>", "a'test", "[::1", "::1", "[g::1]", ".a.test", "-", ":80"].map(
      (value) => [value, host(`Host: ${value}`)] as const,
    ),
    ...["\xe9.test", "a;b", "a=b", "*", "a|b", '"a.test"', "{a}", "a^b", "a\tb", "[::1]x"].map(
      (value) => [value.replaceAll("\t", "\\t"), host(`Host: ${value}`)] as const,
    ),
    ["empty", host("Host:")],
    ["blank", host("Host:  \t ")],
    ["no host in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a b\r\n\r\n"],
  ]),
  ...heads("Content-Length that is not one decimal number", 400, [
    ...["+5", "-1", "-0", "0x5", "5, 5", "5,5", "5, 6", "5 5", "5;", "5.0", "5e0", "", "five", "05h"].map(
      length,
    ),
    ...["\xb2", "5\xa0", "'5'", '"5"', ",5", "5,", "0b1", "0o5", "1_0", "NaN", "Infinity"].map(length),
    ["2^64 + 5", `${request("POST / HTTP/1.1", "Content-Length: 18446744073709551621")}hello`],
    ["2^63", request("POST / HTTP/1.1", "Content-Length: 9223372036854775808")],
    ["a hundred digits", request("POST / HTTP/1.1", `Content-Length: ${"9".repeat(100)}`)],
    ["a hundred zeros and a 5", `${request("POST / HTTP/1.1", `Content-Length: ${"0".repeat(100)}5`)}hello`],
    ["-1 for GET", get("Content-Length: -1")],
    ["empty for GET", get("Content-Length:")],
  ]),
  ...heads("Content-Length twice", 400, [
    ["alike", `${request("POST / HTTP/1.1", "Content-Length: 5", "Content-Length: 5")}hello`],
    ["unlike", `${request("POST / HTTP/1.1", "Content-Length: 5", "Content-Length: 6")}hello!`],
    ["other case", `${request("POST / HTTP/1.1", "Content-Length: 5", "content-length: 0")}hello`],
    ["zeros", get("Content-Length: 0", "Content-Length: 0")],
    ["a good and a bad one", `${request("POST / HTTP/1.1", "Content-Length: 5", "Content-Length: x")}hello`],
  ]),
  ...heads("Transfer-Encoding with Content-Length", 400, [
    ["chunked first", post("Transfer-Encoding: chunked", "Content-Length: 15")],
    ["length first", post("Content-Length: 15", "Transfer-Encoding: chunked")],
    ["length of 0", post("Content-Length: 0", "Transfer-Encoding: chunked")],
    ["length that cuts", post("Content-Length: 4", "Transfer-Encoding: chunked")],
    ["unknown coding", post("Content-Length: 15", "Transfer-Encoding: xchunked")],
    ["identity", post("Content-Length: 15", "Transfer-Encoding: identity")],
    ["gzip, chunked", post("Content-Length: 15", "Transfer-Encoding: gzip, chunked")],
    ["for GET", `${get("Content-Length: 5", "Transfer-Encoding: chunked")}0\r\n\r\n`],
  ]),
  ...heads("Transfer-Encoding that does not end with one chunked", 400, [
    ...["", "chunked, chunked", "chunked,chunked", "xchunked", "chunkedx", "chunked, gzip", "gzip"].map(
      coding,
    ),
    ...["identity", "chunked, identity", "x", "chunked;q=1", "chunked;", "chunked x", "chun ked"].map(coding),
    ...['"chunked"', "'chunked'", "chunked\xa0", "\xa0chunked", "chunked,", ",", "[chunked]", "0"].map(
      coding,
    ),
    ...["deflate", "compress, gzip", "gzip, chunked, chunked", "chunked, gzip, chunked"].map(coding),
  ]),
  ...heads("Transfer-Encoding twice", 400, [
    ["chunked both", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")],
    ["identity second", post("Transfer-Encoding: chunked", "Transfer-Encoding: identity")],
    ["identity first", post("Transfer-Encoding: identity", "Transfer-Encoding: chunked")],
    ["gzip first", post("Transfer-Encoding: gzip", "Transfer-Encoding: chunked")],
    ["empty first", post("Transfer-Encoding:", "Transfer-Encoding: chunked")],
    ["other case", post("Transfer-Encoding: chunked", "transfer-encoding: x")],
  ]),
  ...heads("Transfer-Encoding in HTTP/1.0", 400, [
    ["chunked", `${request("POST / HTTP/1.0", "Transfer-Encoding: chunked")}5\r\nhello\r\n0\r\n\r\n`],
    [
      "chunked with keep-alive",
      `${request("POST / HTTP/1.0", "Connection: keep-alive", "Transfer-Encoding: chunked")}0\r\n\r\n`,
    ],
    ["gzip, chunked", `${request("POST / HTTP/1.0", "Transfer-Encoding: gzip, chunked")}0\r\n\r\n`],
    ["identity", request("POST / HTTP/1.0", "Transfer-Encoding: identity")],
  ]),
  ...heads("transfer coding that is not implemented", 501, [
    ...["gzip, chunked", "gzip,chunked", "deflate, chunked", "compress, chunked", "x-gzip, chunked"].map(
      coding,
    ),
    ...["br, chunked", "identity, chunked", "GZIP, CHUNKED", "gzip, deflate, chunked"].map(coding),
  ]),
  ...heads("unknown expectation", 417, [
    ["a word", post("Transfer-Encoding: chunked", "Expect: something")],
    ["of a GET", get("Expect: 200-ok")],
    ["101", get("Expect: 101-continue")],
    ["100 without the word", get("Expect: 100")],
    ["two in one", get("Expect: 100-continue, x")],
    ["with a parameter", get("Expect: 100-continue;x=1")],
    ["before a known one", get("Expect: x", "Expect: 100-continue")],
    ["after a known one", get("Expect: 100-continue", "Expect: x")],
  ]),
  ...bodies("chunk size", [
    ...["0x5", "-1", "+5", "-5", "5h", "g", "5 5", "5.", "5,5", "5_0", "$5", "0x", "5\xa0", "\xa05"].map(
      (size) => [size, `${size}\r\nhello\r\n0\r\n\r\n`] as const,
    ),
    ["empty", "\r\nhello\r\n0\r\n\r\n"],
    ["space before", " 5\r\nhello\r\n0\r\n\r\n"],
    ["space after", "5 \r\nhello\r\n0\r\n\r\n"],
    ["tab before", "\t5\r\nhello\r\n0\r\n\r\n"],
    ["tab after", "5\t\r\nhello\r\n0\r\n\r\n"],
    ["an extension only", ";a=b\r\nhello\r\n0\r\n\r\n"],
    ["2^64", "10000000000000000\r\nhello\r\n0\r\n\r\n"],
    ["2^64 + 5", "10000000000000005\r\nhello\r\n0\r\n\r\n"],
    ["2^63", "8000000000000000\r\nhello\r\n0\r\n\r\n"],
    ["2^53", "20000000000000\r\nhello\r\n0\r\n\r\n"],
    ["many zeros", `${"0".repeat(100)}5\r\nhello\r\n0\r\n\r\n`],
    ["bad after a good chunk", "5\r\nhello\r\nz\r\nhello\r\n0\r\n\r\n"],
    ["space after the last", "5\r\nhello\r\n0 \r\n\r\n"],
    ["-0 for the last", "5\r\nhello\r\n-0\r\n\r\n"],
  ]),
  ...bodies("chunk extension", [
    ...CONTROLS.filter((char) => char !== "\t" && char !== "\n").map(
      (char) => [hex(char), `5;a${char}b\r\nhello\r\n0\r\n\r\n`] as const,
    ),
    ["longer than a line may be", `5;${"a".repeat(300)}\r\nhello\r\n0\r\n\r\n`],
    ["much longer", `5;${"a".repeat(20_000)}\r\nhello\r\n0\r\n\r\n`],
    ["too long after the last", `5\r\nhello\r\n0;${"a".repeat(300)}\r\n\r\n`],
    ["a space and no semicolon", "5 a=b\r\nhello\r\n0\r\n\r\n"],
    ...[";", "; ", ";\t", " ;", ";;", ";a;", ";;a", ";=", ";=b", ";a=", ";a= ", ";a==b", ";a b"].map(
      extended,
    ),
    ...[";a=b c", ";a=b=c", ';a="b', ';a="b"c', ';a=b"c"', ';a="b\\"', ';a""', ';"a"', ";a=(b)", ";\xe9"].map(
      extended,
    ),
    ["a space last", "5;a \r\nhello\r\n0\r\n\r\n"],
    ["a semicolon after the last size", "5\r\nhello\r\n0;\r\n\r\n"],
  ]),
  ...bodies("end of a chunk", [
    ["LF after the size", "5\nhello\r\n0\r\n\r\n"],
    ["CR after the size", "5\rhello\r\n0\r\n\r\n"],
    ["CR CR LF after the size", "5\r\r\nhello\r\n0\r\n\r\n"],
    ["LF after an extension", "5;a\nhello\r\n0\r\n\r\n"],
    ["LF within an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"],
    ["LF after the data", "5\r\nhello\n0\r\n\r\n"],
    ["CR after the data", "5\r\nhello\r0\r\n\r\n"],
    ["nothing after the data", "5\r\nhello0\r\n\r\n"],
    ["two bytes that are not CRLF", "5\r\nhelloXX0\r\n\r\n"],
    ["more data than the size", "3\r\nhello\r\n0\r\n\r\n"],
    ["less data than the size", "6\r\nhello\r\n0\r\n\r\n"],
    ["an empty line more", "5\r\nhello\r\n\r\n0\r\n\r\n"],
    ["LF after the last size", "5\r\nhello\r\n0\n\r\n"],
    ["LF for the empty line", "5\r\nhello\r\n0\r\n\n"],
    ["LF everywhere", "5\nhello\n0\n\n"],
  ]),
  ...bodies("trailer", [
    ["no colon", "0\r\nX-A\r\n\r\n"],
    ["empty name", "0\r\n: 1\r\n\r\n"],
    ["space before the colon", "0\r\nX-A : 1\r\n\r\n"],
    ["folded", "0\r\nX-A: 1\r\n 2\r\n\r\n"],
    ["NUL in the value", "0\r\nX-A: a\0b\r\n\r\n"],
    ["CR in the value", "0\r\nX-A: a\rb\r\n\r\n"],
    ["DEL in the value", "0\r\nX-A: a\x7fb\r\n\r\n"],
    ["LF after the field", "0\r\nX-A: 1\n\r\n"],
    ["a delimiter in the name", "0\r\nX(A): 1\r\n\r\n"],
    ["a request in its place", "0\r\nGET /admin HTTP/1.1\r\nHost: example.com\r\n\r\n"],
    ["a large value", `0\r\nX-A: ${"v".repeat(9000)}\r\n\r\n`],
    ["many fields", `0\r\n${"X-A: 123456789\r\n".repeat(1000)}\r\n`],
  ]),
];
