import type { StaticMapping } from "../config/configuration.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { ResponseFilter } from "../exchange/response-filter.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import { respondWithError } from "./error-page.ts";
import { FileSending } from "./file-sending.ts";
import { endToEndFields } from "./forwarded-fields.ts";
import { locate, type RedirectField } from "./internal-target.ts";
import { paced } from "./paced-response.ts";
import { openContained, refusalOf, type OpenFile } from "./static/contained-file.ts";
import { contentTypeOf } from "./static/content-types.ts";
import { validatorsOf, type Representation } from "./static/representation.ts";
import { answerFrom, staticRequest, type StaticRequest } from "./static/static-answer.ts";

export interface InternalOptions {
  /** Prefix and folder of the files that the app may name. */
  readonly internal: readonly StaticMapping[];
  /** Sets what the app left out; may change the list that it is given. */
  readonly finishFields: (fields: string[], exchange: Exchange) => void;
  /** What stands between the response and the client. */
  readonly filter: ResponseFilter;
}

/** The app's wish that a file is sent in place of its own response. */
export interface FileRedirect {
  readonly field: RedirectField;
  readonly value: string;
  /** Of the app's response, all of them. */
  readonly fields: readonly string[];
}

/** Null for nearly every response. X-Accel-Redirect wins where both are there. */
export function fileRedirect({ fields }: ResponseHead): FileRedirect | null {
  let found: FileRedirect | null = null;
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    if (name !== "x-accel-redirect" && name !== "x-sendfile") continue;
    const value = fields[index + 1] as string;
    if (found === null || name === "x-accel-redirect") found = { field: name, value, fields };
  }
  return found;
}

/**
 * What tells of the dropped body, and not of the file. The validators are among them: Django's ConditionalGetMiddleware
 * tags the empty body that it sees, with the same tag for every file, and a range needs the tag of what it is part of.
 */
const OF_THE_BODY = new Set([
  "accept-ranges",
  "content-digest",
  "content-encoding",
  "content-md5",
  "content-range",
  "digest",
  "etag",
  "last-modified",
  "location",
  "repr-digest",
]);

/**
 * Sends the file that the app named, as GET of it. The status is the file's, as in nginx; so are its length, validators
 * and ranges. All other fields of the app stay, while nginx keeps six of them: a Content-Security-Policy on a file that
 * somebody uploaded is there for a reason.
 *
 * Two things that static files have do not happen here. No neighbour (`a.txt.gz`) is taken for a form of the file: in a
 * folder of uploads it may be somebody else's. And nothing says that the response may be cached, unless the app did.
 */
export function sendInternalFile(exchange: Exchange, redirect: FileRedirect, options: InternalOptions): void {
  exchange.handler = "internal";
  const place = locate(redirect.field, redirect.value, options.internal);
  if ("problem" in place) {
    exchange.failure = place.problem;
    respondWithError(exchange, 502);
    return;
  }
  openContained(place.path, place.folder).then(
    (file) => send(exchange, file, place.path, redirect, options),
    (error: unknown) => {
      const { status, logReason } = refusalOf(error, place.path);
      exchange.failure = logReason ?? `the app named ${place.path}, and there is no such file`;
      respondWithError(exchange, status);
    },
  );
}

function send(
  exchange: Exchange,
  file: OpenFile,
  path: string,
  redirect: FileRedirect,
  options: InternalOptions,
): void {
  const method = exchange.method === "HEAD" ? "HEAD" : "GET";
  const representation = represent(file, path, redirect.fields);
  const result = answerFrom(representation, method, conditionsOf(exchange), file.handle);
  if (result.kind !== "file") file.handle.close().catch(() => undefined);
  if (result.status >= 400) {
    respondWithError(exchange, result.status, result.fields);
    return;
  }
  const fields = [...result.fields];
  options.finishFields(fields, exchange);
  const length = result.kind === "memory" ? result.body.length : result.length;
  const client = paced(exchange, redirect.fields);
  const response = options.filter(exchange, result.status, fields, length, client);
  if (result.kind === "file") {
    new FileSending(exchange, response, result).begin(result.status, fields);
    return;
  }
  response.begin(result.status, fields, length);
  response.finish();
}

const NO_CONDITIONS: StaticRequest = {
  acceptEncoding: undefined,
  ifNoneMatch: undefined,
  ifModifiedSince: undefined,
  range: undefined,
  ifRange: undefined,
};

/** A POST gets the whole file: conditions and ranges mean something for GET alone (RFC 9110 sections 13.1 and 14.2). */
function conditionsOf({ method, fields }: Exchange): StaticRequest {
  return method === "GET" || method === "HEAD" ? staticRequest(fields) : NO_CONDITIONS;
}

function represent(file: OpenFile, path: string, appFields: readonly string[]): Representation {
  const validators = validatorsOf(file, Date.now());
  const kept: string[] = [];
  const ofTheFile: string[] = [];
  let typed = false;
  const all = endToEndFields(appFields);
  for (let index = 0; index < all.length; index += 2) {
    const name = all[index] as string;
    if (OF_THE_BODY.has(name)) continue;
    typed ||= name === "content-type";
    (name.startsWith("content-") && !name.startsWith("content-security-") ? ofTheFile : kept).push(
      name,
      all[index + 1] as string,
    );
  }
  if (!typed) ofTheFile.push("content-type", contentTypeOf(path));
  const lasting = [...kept, "etag", validators.etag];
  return {
    ...validators,
    coding: "identity",
    path,
    fingerprint: file.fingerprint,
    size: file.size,
    body: null,
    fields: [...ofTheFile, ...lasting, "last-modified", validators.lastModified, "accept-ranges", "bytes"],
    block: "",
    // RFC 9110 section 15.4.5: without what describes a body that is not there.
    notModifiedFields: lasting,
  };
}
