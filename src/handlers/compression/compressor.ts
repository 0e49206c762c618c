import {
  constants,
  createBrotliCompress,
  createGzip,
  createZstdCompress,
  type BrotliCompress,
  type Gzip,
  type ZstdCompress,
} from "node:zlib";
import type { Compression } from "../static/content-coding.ts";

export type Compressor = BrotliCompress | Gzip | ZstdCompress;

const {
  BROTLI_MODE_TEXT,
  BROTLI_OPERATION_FINISH,
  BROTLI_OPERATION_FLUSH,
  BROTLI_PARAM_LGWIN,
  BROTLI_PARAM_MODE,
  BROTLI_PARAM_QUALITY,
  BROTLI_PARAM_SIZE_HINT,
  ZSTD_c_compressionLevel,
  ZSTD_c_windowLog,
  ZSTD_e_end,
  ZSTD_e_flush,
  Z_FINISH,
  Z_SYNC_FLUSH,
} = constants;

/**
 * A compressor for a body that is there as a whole: the one `write` finishes it, and `end` MUST NOT be called. With
 * `end` Node makes two trips to the thread pool, one for the bytes and one for the end. Levels: docs/compression.md.
 *
 * @param size bytes.
 * @param isOpenEnded br alone: leave out the last meta-block and end at a byte boundary; see length-hiding.ts.
 */
export function wholeCompressor(coding: Compression, size: number, isOpenEnded: boolean): Compressor {
  switch (coding) {
    case "gzip":
      return createGzip({ level: 6, flush: Z_FINISH });
    case "br":
      return createBrotliCompress({
        flush: isOpenEnded ? BROTLI_OPERATION_FLUSH : BROTLI_OPERATION_FINISH,
        params: {
          [BROTLI_PARAM_MODE]: BROTLI_MODE_TEXT,
          [BROTLI_PARAM_QUALITY]: 4,
          [BROTLI_PARAM_LGWIN]: 18,
          [BROTLI_PARAM_SIZE_HINT]: size,
        },
      });
    case "zstd":
      return createZstdCompress({
        flush: ZSTD_e_end,
        pledgedSrcSize: size,
        params: { [ZSTD_c_compressionLevel]: 3 },
      });
  }
}

/**
 * A compressor for a body that comes in pieces: each `write` is flushed, so that the client can decode what it has,
 * and `end` ends it. It may live for hours, so the memory counts that each of them holds: 0.3 MB for gzip and zstd
 * and 0.5 MB for br, in place of the 1.2 MB that zstd and br take at the level of a whole body.
 */
export function streamCompressor(coding: Compression, isOpenEnded: boolean): Compressor {
  switch (coding) {
    case "gzip":
      return createGzip({ level: 6, flush: Z_SYNC_FLUSH });
    case "br":
      return createBrotliCompress({
        flush: BROTLI_OPERATION_FLUSH,
        finishFlush: isOpenEnded ? BROTLI_OPERATION_FLUSH : BROTLI_OPERATION_FINISH,
        params: {
          [BROTLI_PARAM_MODE]: BROTLI_MODE_TEXT,
          [BROTLI_PARAM_QUALITY]: 3,
          [BROTLI_PARAM_LGWIN]: 16,
        },
      });
    case "zstd":
      return createZstdCompress({
        flush: ZSTD_e_flush,
        params: { [ZSTD_c_compressionLevel]: 1, [ZSTD_c_windowLog]: 16 },
      });
  }
}
