import type { ChallengeAnswer } from "../acme/challenge.ts";
import { dnsRecord } from "../acme/dns-record.ts";
import type { DnsConfiguration } from "../config/configuration.ts";
import { DnsHook, type HookTurns } from "../dns/hook.ts";
import { awaitPropagation } from "../dns/propagation.ts";
import { Questions } from "../dns/questions.ts";
import { finalName, zoneServers } from "../dns/zone.ts";
import { messageOf } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";

/** dns-01 answers, put into the DNS and taken out again by the operator's program. */
export class DnsChallenges {
  readonly #settings: DnsConfiguration;
  readonly #hook: DnsHook;
  readonly #log: Logger;
  /** Token to the name that the hook was given: what CNAMEs say may change before the record is taken away. */
  readonly #presented = new Map<string, string>();

  constructor(settings: DnsConfiguration, turns: HookTurns, log: Logger) {
    this.#settings = settings;
    this.#hook = new DnsHook({ program: settings.hook, timeout: settings.hookTimeout }, turns);
    this.#log = log;
  }

  /** Resolves when the record is at all name servers of its zone. */
  async publish({ name, token, keyAuthorization }: ChallengeAnswer, signal: AbortSignal): Promise<void> {
    const { resolvers, nameServers, propagationTimeout: timeout } = this.#settings;
    const record = dnsRecord(name, keyAuthorization);
    const questions = new Questions(resolvers.length === 0 ? null : resolvers, signal);
    const target = await finalName(record.name, questions);
    this.#presented.set(token, target);
    await this.#hook.run("present", target, record.value, signal);
    if (timeout === 0) return;
    const servers =
      nameServers.length === 0
        ? await zoneServers(target, questions)
        : nameServers.map((address) => ({ name: address, addresses: [address] }));
    await awaitPropagation({ name: target, value: record.value, servers, timeout, signal });
  }

  /** Also where `publish` failed half-way or was aborted: the hook may have done its work. Never rejects. */
  async withdraw({ name, token, keyAuthorization }: ChallengeAnswer): Promise<void> {
    const target = this.#presented.get(token);
    if (target === undefined) return;
    this.#presented.delete(token);
    const { value } = dnsRecord(name, keyAuthorization);
    try {
      await this.#hook.run("cleanup", target, value, new AbortController().signal);
    } catch (error) {
      this.#log.warn({ name: target, cause: messageOf(error) }, "a TXT record may have been left in the DNS");
    }
  }
}
