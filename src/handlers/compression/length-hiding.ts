import { randomInt } from "node:crypto";
import type { Compression } from "../static/content-coding.ts";

/**
 * Against BREACH, as Django's GZipMiddleware does it since 4.2 (Heal the Breach, Palacios and others, 2022): who can
 * make a browser ask for a page that repeats his guess, and can see how long the answer is, learns from a shorter one
 * that the guess stands in the page. Random bytes that every decoder skips take away what a single look tells.
 * They do not take away the mean of very many looks: that is what Django's masked CSRF tokens are for.
 */
const MOST_PADDING = 100;

/** Bytes of padding for one response, 1 to 100. */
export function paddingLength(): number {
  return randomInt(1, MOST_PADDING + 1);
}

/**
 * Puts the padding into what a compressor gave for one piece of the body, where that is the coding's place for it.
 * For br the compressor MUST be open-ended.
 */
export function padOutput(
  coding: Compression,
  output: Buffer[],
  piece: { readonly isFirst: boolean; readonly isLast: boolean },
  padding: number,
): Buffer[] {
  switch (coding) {
    case "gzip":
      return piece.isFirst ? withFileName(output, padding) : output;
    case "zstd":
      return piece.isFirst ? [skippableFrame(padding), ...output] : output;
    case "br":
      return piece.isLast ? [...output, metadataAndEnd(padding)] : output;
  }
}

const GZIP_HEADER = 10;
const FNAME = 8;

/** RFC 1952 section 2.3: FLG.FNAME, and behind the ten bytes of the header a name that ends with a zero byte. */
function withFileName(output: readonly Buffer[], length: number): Buffer[] {
  const bytes = Buffer.concat(output);
  const header = Buffer.alloc(GZIP_HEADER + length + 1);
  bytes.copy(header, 0, 0, GZIP_HEADER);
  header[3] = FNAME;
  header.fill("a", GZIP_HEADER, GZIP_HEADER + length);
  return [header, bytes.subarray(GZIP_HEADER)];
}

/** RFC 8878 section 3.1.2: magic number, size and bytes, all in little-endian order. */
function skippableFrame(length: number): Buffer {
  const frame = Buffer.alloc(8 + length);
  frame.writeUInt32LE(0x184d2a50, 0);
  frame.writeUInt32LE(length, 4);
  return frame;
}

/**
 * RFC 7932 section 9.2: a meta-block of metadata, then the last, empty meta-block. Such a block begins at any bit, and
 * the encoder's first one does not begin at a byte; behind a flush it does, so the padding is at the end. Bits, from
 * the lowest: ISLAST 0, MNIBBLES 11 (no data), reserved 0, MSKIPBYTES 01 (one byte of length), length - 1 in eight
 * bits, two bits of zero up to the byte boundary. ISLAST and ISLASTEMPTY of the end: 11.
 */
function metadataAndEnd(length: number): Buffer {
  const bytes = Buffer.alloc(2 + length + 1);
  bytes.writeUInt16LE((0b01_0_11_0 & 0x3f) | ((length - 1) << 6), 0);
  bytes[bytes.length - 1] = 0b11;
  return bytes;
}
