/** Content codings of neighbours, with the extension that each has, RFC 9110 section 8.4.1 and RFC 8878. */
export const CODINGS = [
  { coding: "zstd", extension: ".zst" },
  { coding: "br", extension: ".br" },
  { coding: "gzip", extension: ".gz" },
] as const;

/** A coding that makes a body smaller. */
export type Compression = (typeof CODINGS)[number]["coding"];

/** `identity` is the file itself. */
export type Coding = Compression | "identity";

/** Weight of each coding, 0 to 1; 0 means that the client does not want it. */
export type Weights = Readonly<Record<Coding, number>>;

const ANYTHING_AS_IS: Weights = { identity: 1, gzip: 0, br: 0, zstd: 0 };

/** Clients send a handful of different values, so each is read once. Bounded: a client may invent new ones. */
const known = new Map<string, Weights>();
const MOST_KNOWN = 256;

/** The weights of an Accept-Encoding field (RFC 9110 section 12.5.3). A member that is malformed counts as absent. */
export function codingWeights(field: string | undefined): Weights {
  // Without the field any coding would do, but a client that says nothing (curl) seldom decodes.
  if (field === undefined || field === "") return ANYTHING_AS_IS;
  let weights = known.get(field);
  if (weights === undefined) {
    weights = parse(field);
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(field, weights);
  }
  return weights;
}

/**
 * The coding to make for a client: of those with the highest weight the first in `order`, null where the body as it
 * is weighs more, or where none of them is accepted.
 */
export function preferredCoding(weights: Weights, order: readonly Compression[]): Compression | null {
  let best: Compression | null = null;
  // At an equal weight the smaller body is the better answer, so identity has to weigh more to win.
  let bestWeight = Math.max(weights.identity, Number.MIN_VALUE);
  for (const coding of order) {
    const weight = weights[coding];
    if (weight < bestWeight || (best !== null && weight === bestWeight)) continue;
    best = coding;
    bestWeight = weight;
  }
  return best;
}

function parse(field: string): Weights {
  const named = new Map<string, number>();
  for (const member of field.split(",")) {
    const [, coding, weight = "1"] =
      /^[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*(?:;[ \t]*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?[ \t]*$/.exec(
        member,
      ) ?? [];
    if (coding !== undefined) named.set(coding.toLowerCase(), Number(weight));
  }
  const others = named.get("*");
  const weight = (coding: string): number => named.get(coding) ?? others ?? 0;
  return {
    gzip: named.get("gzip") ?? named.get("x-gzip") ?? others ?? 0,
    br: weight("br"),
    zstd: weight("zstd"),
    // Acceptable unless it is excluded, by name or by `*;q=0`; unnamed it is what remains when nothing else fits.
    identity: named.get("identity") ?? (others === 0 ? 0 : Number.MIN_VALUE),
  };
}
