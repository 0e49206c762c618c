/** Decoders of Node, for each content coding. */
import { once } from "node:events";
import {
  brotliDecompressSync,
  createBrotliDecompress,
  createGunzip,
  createZstdDecompress,
  gunzipSync,
  zstdDecompressSync,
} from "node:zlib";

export const CODINGS = ["zstd", "br", "gzip"] as const;
export type Compression = (typeof CODINGS)[number];

export function decode(coding: string | undefined, bytes: Buffer): Buffer {
  switch (coding) {
    case "zstd":
      return zstdDecompressSync(bytes);
    case "br":
      return brotliDecompressSync(bytes);
    case "gzip":
      return gunzipSync(bytes);
    default:
      return bytes;
  }
}

/** Decodes what came so far: a client that sees a stream grow. */
export class GrowingDecoder {
  text = "";
  readonly #decoder: ReturnType<
    typeof createGunzip | typeof createBrotliDecompress | typeof createZstdDecompress
  >;

  constructor(coding: Compression) {
    this.#decoder =
      coding === "gzip"
        ? createGunzip()
        : coding === "br"
          ? createBrotliDecompress()
          : createZstdDecompress();
    this.#decoder.on("data", (bytes: Buffer) => (this.text += bytes.toString("latin1")));
  }

  /** Resolves when all that these bytes decode to is in `text`. */
  async write(bytes: Buffer): Promise<void> {
    await new Promise<void>((resolve, reject) =>
      this.#decoder.write(bytes, (error) => (error ? reject(error) : resolve())),
    );
  }

  /** Rejects where the bytes so far are no complete body. */
  async end(): Promise<void> {
    const end = once(this.#decoder, "end");
    this.#decoder.end();
    await end;
  }
}
