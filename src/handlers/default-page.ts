import { createHash } from "node:crypto";

/** What a page shows. All of it is text; the page escapes it. */
export interface PageContent {
  readonly status: number;
  readonly heading: string;
  readonly sentence: string;
  readonly requestId: string;
  /** Client and server errors, and maintenance, differ in colour and drawing. */
  readonly kind: "client" | "server" | "maintenance";
  /** Whether the same request may fare better in a while. */
  readonly again: boolean;
}

/** Colours have a contrast of 7 and more on their ground, the accents of 4.5 (WCAG 2.2, 1.4.3 and 1.4.6). */
const STYLE = `
:root{color-scheme:light dark;--ground:#f6f5f2;--card:#fff;--text:#1d1f23;--soft:#4d525b;--line:#e2dfd8;--accent:#8a5a00;--tint:#fdf3dc}
.server{--accent:#b3261e;--tint:#fdeae8}
.maintenance{--accent:#0b5fae;--tint:#e5f0fb}
@media (prefers-color-scheme:dark){
:root{--ground:#141518;--card:#1d1f24;--text:#eceded;--soft:#b4b9c2;--line:#33363d;--accent:#f2bd57;--tint:#352a13}
.server{--accent:#ff9d94;--tint:#3a1c1a}
.maintenance{--accent:#8cc4ff;--tint:#152a40}
}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;min-height:100dvh;display:grid;place-items:center;padding:1.5rem;background:var(--ground);color:var(--text);font:1.0625rem/1.6 system-ui,-apple-system,"Segoe UI",Roboto,Ubuntu,sans-serif}
main{width:100%;max-width:34rem;padding:clamp(1.75rem,6vw,3rem);background:var(--card);border:1px solid var(--line);border-radius:1rem;box-shadow:0 1px 2px #0000000d,0 12px 32px -12px #00000026}
.sign{display:inline-flex;align-items:center;gap:.6rem;padding:.35rem .85rem .35rem .6rem;border-radius:99rem;background:var(--tint);color:var(--accent);font-weight:600;font-size:.9375rem;font-variant-numeric:tabular-nums}
svg{display:block;width:1.375rem;height:1.375rem;fill:none;stroke:currentColor;stroke-width:1.75;stroke-linecap:round;stroke-linejoin:round}
h1{margin:1.25rem 0 .5rem;font-size:clamp(1.5rem,5vw,2rem);line-height:1.2;letter-spacing:-.015em;text-wrap:balance}
p{margin:0;color:var(--soft);text-wrap:pretty;overflow-wrap:anywhere}
a{display:inline-block;margin-top:1.5rem;padding:.6rem 1.15rem;border-radius:.6rem;background:var(--text);color:var(--card);font-weight:600;text-decoration:none}
a:hover{opacity:.88}
a:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
footer{margin-top:2rem;padding-top:1rem;border-top:1px solid var(--line);font-size:.8125rem;color:var(--soft)}
code{font:inherit;font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere;user-select:all}
@media print{body{min-height:0}main{border:0;box-shadow:none}a{display:none}}
`;

/** A mark of attention, a broken line, a fence: drawn here, since nothing may be fetched. */
const DRAWINGS: Readonly<Record<PageContent["kind"], string>> = {
  client: `<circle cx="12" cy="12" r="8.5"/><path d="M12 7.75v5M12 16.25h.01"/>`,
  server: `<path d="M4 5v15M20 5v15M4 9h5l2 3-2 3H4M20 9h-5l-2 3 2 3h5"/>`,
  maintenance: `<path d="M4 20V6m16 14V6M4 9h16M4 15h16M8 9l3 6M13 9l3 6"/>`,
};

/** For the one style that the page has; nothing else is loaded, sent or framed. */
export const DEFAULT_PAGE_POLICY = `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** One self-contained HTML document without a script, for light and dark, for a telephone and a reader's voice. */
export function defaultPage(content: PageContent): string {
  const { status, kind, again } = content;
  const heading = escapeHtml(content.heading);
  const sign = kind === "maintenance" ? "Maintenance" : `Error ${status}`;
  return `<!doctype html>
<html lang="en" class="${kind}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${heading}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<div class="sign"><svg viewBox="0 0 24 24" aria-hidden="true">${DRAWINGS[kind]}</svg><span>${sign}</span></div>
<h1>${heading}</h1>
<p>${escapeHtml(content.sentence)}</p>
${again ? `<a href="">Try again</a>\n` : ""}<footer>Request <code>${escapeHtml(content.requestId)}</code></footer>
</main>
</body>
</html>
`;
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
