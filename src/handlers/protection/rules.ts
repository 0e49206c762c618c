import type { ProtectionConfiguration, SiteConfiguration } from "../../config/configuration.ts";
import { allowRule, denyRule } from "./address-rules.ts";
import { basicAuthRule } from "./basic-auth.ts";
import { authRules, authServerName } from "./auth-servers.ts";
import { dropFieldsRule } from "./app-fields.ts";
import { forwardAuthRule } from "./forward-auth.ts";
import type { Upstream } from "../../upstream/upstream.ts";
import { methodRule } from "./method-rule.ts";
import type { RateLimits } from "./rate-limits.ts";
import type { Rule } from "./rule.ts";

/** The cheap ones first, and those that tell a stranger the least. */
const ORDER = ["deny", "allow", "rateLimit", "methods", "basicAuth", "authFields", "forwardAuth"] as const;

/** Whether only some clients are let in. `deny` keeps some out of what the others may have, and hides nothing. */
export function isRestricted({ allow, basicAuth, forwardAuth }: ProtectionConfiguration): boolean {
  return allow !== null || basicAuth !== null || forwardAuth !== null;
}

/**
 * Makes the rules of one site. A rule that several paths inherit is one and the same function, so that a request
 * whose path can be read in two ways is asked once.
 */
export class SiteRules {
  readonly #site: string;
  readonly #rateLimits: RateLimits;
  readonly #upstream: (name: string) => Upstream;
  /** What any of the site's auth servers tells the app. */
  readonly #authFields: readonly string[];
  readonly #made = new Map<string, Rule>();
  readonly #ranks = new Map<Rule, number>();

  constructor(site: SiteConfiguration, rateLimits: RateLimits, upstream: (name: string) => Upstream) {
    this.#site = site.names[0];
    this.#rateLimits = rateLimits;
    this.#upstream = upstream;
    this.#authFields = [...new Set(authRules(site).flatMap(({ value }) => value.headers))];
  }

  /** In the order of `ORDER`. */
  of(protection: ProtectionConfiguration): readonly Rule[] {
    const { deny, allow, rateLimit, methods, basicAuth, forwardAuth } = protection;
    return [
      ...this.#rule("deny", deny, denyRule),
      ...this.#rule("allow", allow, allowRule),
      ...this.#rule("rateLimit", rateLimit, (rule) => this.#rateLimits.rule(this.#site, rule)),
      ...this.#rule("methods", methods, methodRule),
      ...this.#rule("basicAuth", basicAuth, basicAuthRule),
      // Also where this path asks nobody: what the app takes for the auth server's word must never be the client's.
      ...this.#rule("authFields", this.#authFields.length === 0 ? null : this.#authFields, dropFieldsRule),
      ...this.#rule("forwardAuth", forwardAuth, (rule) =>
        forwardAuthRule(rule, this.#upstream(authServerName(this.#site, rule.from))),
      ),
    ];
  }

  /** The rules of several places, each once and in the same order as those of one. */
  together(rules: readonly (readonly Rule[])[]): readonly Rule[] {
    const rank = (rule: Rule): number => this.#ranks.get(rule) ?? 0;
    return [...new Set(rules.flat())].sort((a, b) => rank(a) - rank(b));
  }

  #rule<T>(key: (typeof ORDER)[number], configuration: T | null, make: (configuration: T) => Rule): Rule[] {
    if (configuration === null) return [];
    const name = `${key} ${JSON.stringify(configuration)}`;
    const known = this.#made.get(name);
    if (known !== undefined) return [known];
    const rule = make(configuration);
    this.#made.set(name, rule);
    this.#ranks.set(rule, ORDER.indexOf(key));
    return [rule];
  }
}
