import type { JournalEntry } from "../certificates/journal-event.ts";
import { journalSentence } from "../certificates/journal-sentences.ts";
import type { CertificateStatus } from "../certificates/status.ts";
import type { Maintenance } from "../handlers/maintenance.ts";

/** What the page shows; the supervisor's status is this and more. Times are milliseconds since the epoch. */
export interface PageStatus {
  readonly version: string;
  readonly startedAt: number;
  readonly ready: boolean;
  readonly certificates: readonly CertificateStatus[];
  readonly sites: readonly {
    readonly names: readonly string[];
    readonly upstream: string | null;
    readonly static: readonly string[];
    /** Folders whose files the app names. */
    readonly internal: readonly string[];
    /** Null where it is open. */
    readonly maintenance: Maintenance | null;
  }[];
  readonly workers: readonly { readonly pid: number; readonly state: string; readonly startedAt: number }[];
}

/**
 * The status page: one self-contained HTML document without a script.
 *
 * @param recent the last entries of journals, by the certificate's first name; of some certificates where there are
 *   many.
 */
export function statusPage(status: PageStatus, recent: ReadonlyMap<string, readonly JournalEntry[]>): string {
  const certificates = status.certificates.map((certificate) => {
    const trouble = certificate.lastError?.message ?? certificate.waitingFor ?? "";
    const failed = certificate.rehearsal?.outcome === "failed" ? certificate.rehearsal : null;
    const rehearsal =
      failed === null ? [] : `rehearsal at ${escape(failed.issuer)} failed: ${escape(failed.error ?? "")}`;
    // What the look before the first order found: of those that the CA may yet pass over.
    const seen = certificate.warnings.map((warning) => `seen from here: ${escape(warning)}`);
    const entries = recent.get(certificate.name) ?? [];
    const facts = row([
      escape(certificate.names.join(", ")),
      `<b class="${escape(certificate.state)}">${escape(certificate.state)}</b> <small>${escape(certificate.serving)}</small>`,
      escape(certificate.issuer),
      time(certificate.notAfter),
      `${time(certificate.nextAttempt)}<br><small>${escape(certificate.nextReason ?? "")}</small>`,
      [trouble === "" ? [] : escape(trouble), rehearsal, seen].flat().join("<br>"),
    ]);
    return facts + (entries.length === 0 ? "" : journal(entries, certificate.state === "failing"));
  });
  const sites = status.sites.map((site) =>
    row([
      escape(site.names.join(", ")),
      escape(site.upstream ?? "none"),
      escape(site.static.join(", ")),
      escape(site.internal.join(", ")),
      site.maintenance === null
        ? "open"
        : `<b class="waiting">in maintenance</b> since ${time(site.maintenance.since)}${site.maintenance.allow.length === 0 ? "" : `, but for ${escape(site.maintenance.allow.join(", "))}`}`,
    ]),
  );
  const workers = status.workers.map((worker) =>
    row([String(worker.pid), escape(worker.state), time(worker.startedAt)]),
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>Paddock</title>
<style>
body{font:1rem/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%;margin-bottom:2rem}
th,td{text-align:left;padding:.4rem .8rem .4rem 0;border-bottom:1px solid #8884;vertical-align:top}
th{font-weight:600;font-size:.85rem;opacity:.7}
tr:has(+.journal) td{border-bottom:0}
.journal td{padding-top:0;font-size:.9rem}.journal summary{cursor:pointer;opacity:.7}
.journal ul{list-style:none;margin:.4rem 0;padding:0}.journal li{padding-left:10.5rem;text-indent:-10.5rem;overflow-wrap:anywhere}
.journal time{display:inline-block;width:10.5rem;text-indent:0;opacity:.7;font-variant-numeric:tabular-nums}
time{white-space:nowrap}
b.valid,b.renewing{color:#1a7f37}b.failing{color:#cf222e}b.waiting,b.issuing{color:#9a6700}
</style></head><body>
<h1>Paddock ${escape(status.version)}</h1>
<p>${status.ready ? "Ready" : "Not ready: no site has a usable certificate yet"}; running since ${time(status.startedAt)}.</p>
<h2>Certificates</h2>
${table(["Names", "State", "Issuer", "Ends", "Next attempt", "What to know"], certificates)}
<h2>Sites</h2>
${table(["Names", "Upstream", "Static files", "Files by X-Accel-Redirect", "State"], sites)}
<h2>Workers</h2>
${table(["Process", "State", "Since"], workers)}
</body></html>
`;
}

/** The newest first; open where something is wrong. */
function journal(entries: readonly JournalEntry[], open: boolean): string {
  const items = entries
    .toReversed()
    .map((entry) => `<li>${time(entry.at)} ${escape(journalSentence(entry))}</li>`);
  return `<tr class="journal"><td colspan="6"><details${open ? " open" : ""}><summary>Journal</summary><ul>${items.join("")}</ul></details></td></tr>`;
}

function table(heads: readonly string[], rows: readonly string[]): string {
  return `<table><thead>${row(heads, "th")}</thead><tbody>${rows.join("")}</tbody></table>`;
}

function row(cells: readonly string[], tag = "td"): string {
  return `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join("")}</tr>`;
}

function time(milliseconds: number | null): string {
  return milliseconds === null
    ? ""
    : `<time>${new Date(milliseconds).toISOString().slice(0, 16).replace("T", " ")} UTC</time>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
