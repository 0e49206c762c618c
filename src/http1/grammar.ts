/** RFC 9110 section 5.6.2: token. */
export const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** RFC 9110 section 5.5: field-value as latin1, neither CR, LF, NUL nor any other control but the tab. */
export const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** RFC 9110 section 8.6: Content-Length, one decimal number; 15 digits stay below 2^53. */
export const CONTENT_LENGTH = /^[0-9]{1,15}$/;

/** RFC 9110 section 5.6.4: what a quoted string holds between its quotes. */
const QUOTED = String.raw`(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*`;
const WORD = TOKEN.source.slice(1, -1);

/** RFC 9112 section 7.1.1: chunk-size [chunk-ext], the size in the first group; 13 digits stay below 2^53. */
export const CHUNK_SIZE_LINE = new RegExp(
  `^([0-9A-Fa-f]{1,13})(?:[\\t ]*;[\\t ]*${WORD}(?:[\\t ]*=[\\t ]*(?:${WORD}|"${QUOTED}"))?)*$`,
);

/** The limits of a message; nginx's large_client_header_buffers and the numbers. */
export const LIMITS = {
  /** Bytes of a request or status line, without its CRLF. */
  startLine: 8 * 1024,
  /** Bytes of all field lines of one section. */
  fieldBytes: 32 * 1024,
  fieldCount: 100,
  /** Bytes of a chunk-size line with its extensions. */
  chunkLine: 256,
  /** Bytes of a trailer section. */
  trailerBytes: 8 * 1024,
} as const;
