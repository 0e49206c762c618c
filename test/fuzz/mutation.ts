/** Inputs near the corpus: a seeded generator, so that a seed and a number name an input for ever. */

/** Bytes that parsers differ on. */
const HOSTILE = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  ":",
  " ",
  "\t",
  ",",
  ";",
  '"',
  "0",
  "f",
  "\x7f",
  "\x80",
  "\xff",
  "-",
  "=",
];

/** mulberry32: 32 bits of state are enough to choose mutations. */
export function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** One to four changes to one of the corpus. Text is latin1: a character is a byte. */
export function mutate(corpus: readonly string[], random: (below: number) => number): string {
  const one = (): string => corpus[random(corpus.length)] as string;
  let text = one();
  for (let changes = random(4); changes >= 0; changes--) {
    const at = random(text.length + 1);
    const to = Math.min(text.length, at + 1 + random(8));
    const [before, between, behind] = [text.slice(0, at), text.slice(at, to), text.slice(to)];
    switch (random(6)) {
      case 0:
        text =
          before + String.fromCharCode((text.charCodeAt(at) || 0) ^ (1 << random(8))) + text.slice(at + 1);
        break;
      case 1:
        text = before + (HOSTILE[random(HOSTILE.length)] as string) + between + behind;
        break;
      case 2:
        text = before + between + between + behind;
        break;
      case 3:
        text = before + behind;
        break;
      case 4:
        text = before;
        break;
      default: {
        const other = one();
        text = before + other.slice(random(other.length + 1));
      }
    }
  }
  return text.length > 1024 ? text.slice(0, 1024) : text;
}
