/** An Argon2 hash in the PHC string format, taken apart. */
export interface PasswordHash {
  /** KiB. */
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
  readonly salt: Buffer;
  readonly tag: Buffer;
}

const PHC =
  /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;

/** KiB; what each of a worker's verifications may take, so that a guess cannot exhaust the machine. */
const MOST_MEMORY = 256 * 1024;
const MOST_PASSES = 20;

/** Other hashes that a file may hold, by how they begin. */
const OTHERS: readonly (readonly [RegExp, string])[] = [
  [/^\$2[abxy]\$/, "a bcrypt hash"],
  [/^\$apr1\$/, "an MD5 hash of Apache"],
  [/^\{S?SHA\}/, "a SHA-1 hash"],
  [/^\$[156y]\$/, "a hash of crypt(3)"],
  [/^\$argon2[id]\$/, "an Argon2 hash of another variant"],
  [/^argon2\$/, "Django's form of a hash; leave out its first word, so that it begins with $argon2id$"],
];

/**
 * Reads `$argon2id$v=19$m=…,t=…,p=…$SALT$HASH` (RFC 9106 for what it means), or says what is wrong with it. The
 * sentence never holds the hash.
 */
export function parsePasswordHash(
  text: string,
): { readonly value: PasswordHash } | { readonly problem: string } {
  const match = PHC.exec(text);
  if (match === null) {
    const other = OTHERS.find(([beginning]) => beginning.test(text))?.[1] ?? "not";
    return { problem: `must be an argon2id hash; this is ${other}. paddock hash-password makes one` };
  }
  const [, memory, passes, parallelism] = match.map(Number) as [number, number, number, number];
  if (memory > MOST_MEMORY || memory < 8 * parallelism || parallelism < 1)
    return { problem: `must have m from 8 times p to ${MOST_MEMORY} (KiB), and p of at least 1` };
  if (passes < 1 || passes > MOST_PASSES) return { problem: `must have t from 1 to ${MOST_PASSES}` };
  const [salt, tag] = match.slice(4).map((part) => Buffer.from(part, "base64")) as [Buffer, Buffer];
  return { value: { memory, passes, parallelism, salt, tag } };
}

/** The other way: the PHC string of a hash. */
export function formatPasswordHash(hash: PasswordHash): string {
  const base64 = (bytes: Buffer): string => bytes.toString("base64").replace(/=+$/, "");
  const { memory, passes, parallelism, salt, tag } = hash;
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${base64(salt)}$${base64(tag)}`;
}
