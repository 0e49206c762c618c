/**
 * The targets of a Link field (RFC 8288) that have the relation `relation`, resolved against `base`.
 *
 * @param value the field as Node gives it; several fields are joined by commas.
 */
export function linksOf(value: string | string[] | undefined, relation: string, base: string): string[] {
  if (value === undefined) return [];
  const text = Array.isArray(value) ? value.join(", ") : value;
  return [...text.matchAll(/<([^>]*)>((?:\s*;\s*[\w*-]+\s*(?:=\s*(?:"[^"]*"|[^\s",;]+))?)*)/g)].flatMap(
    ([, target, parameters]) => {
      // The value may be several relations, parted by spaces (RFC 8288 §3.3).
      const [, quoted, token] = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s",;]+))/i.exec(parameters ?? "") ?? [];
      const relations = (quoted ?? token ?? "").toLowerCase().split(/\s+/);
      const url = URL.parse(target ?? "", base);
      return url !== null && relations.includes(relation) ? [url.href] : [];
    },
  );
}
