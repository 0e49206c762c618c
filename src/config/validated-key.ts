import convict from "convict";
import { FormatError, type Format, type Refusal } from "./format.ts";
import { FORMATS } from "./formats.ts";
import type { Key } from "./section.ts";

/** What the validation that is running refused: convict itself only keeps the text. */
let refused: Refusal[] = [];

for (const [name, format] of Object.entries<Format>(FORMATS)) {
  convict.addFormat({
    name: `paddock:${name}`,
    ...(format.coerce === undefined ? {} : { coerce: format.coerce }),
    validate: (value: unknown) => {
      try {
        format.check(value);
      } catch (error) {
        if (error instanceof FormatError) refused.push(...error.refusals);
        throw error;
      }
    },
  });
}

/**
 * One key of the schema as convict knows it: default, coercion of text, format.
 *
 * A convict for each key and not one for each section: convict goes through all keys of what it validates, and of the
 * twenty keys of a site two or three are written.
 */
export class ValidatedKey {
  /** What the key is where nobody has written it. */
  readonly default: unknown;
  readonly #name: string;
  readonly #convict: convict.Config<Record<string, unknown>>;

  constructor(name: string, key: Key) {
    const schema = { ...key, format: `paddock:${key.format}`, nullable: key.default === null };
    this.#name = name;
    // No variables and no arguments here: environment.ts reads the former, the command line has its own reader.
    this.#convict = convict<Record<string, unknown>>({ [name]: schema }, { env: {}, args: [] });
    // The default of a key that must be given need not be valid.
    if (key.required !== true) this.#convict.validate({ allowed: "strict" });
    this.default = this.#convict.get(name);
  }

  /** `written` as its format makes it, and what the format has against that. */
  read(written: unknown): { readonly value: unknown; readonly refusals: readonly Refusal[] } {
    this.#convict.set(this.#name, written);
    refused = [];
    try {
      this.#convict.validate({ allowed: "strict" });
    } catch (error) {
      if (refused.length === 0) throw error;
    }
    return { value: this.#convict.get(this.#name), refusals: refused };
  }
}
