import { messageOf, systemErrorCode } from "../errors.ts";
import type { WorkerOrder, WorkerReport } from "../worker-protocol.ts";
import { AcceptingSockets } from "./accepting-sockets.ts";
import { DataPlane } from "./data-plane.ts";
import { ShownChallenges } from "./shown-challenges.ts";

/**
 * A worker process. It starts with nothing: configuration, certificates and listening sockets all come by message
 * from the supervisor, and it leaves when it is told to or when the supervisor is gone.
 */
let plane: DataPlane | null = null;
const sockets = new AcceptingSockets((socket, listener) => {
  if (plane === null) socket.destroy();
  else plane.accept(socket, listener);
});

function report(message: WorkerReport): void {
  process.send?.(message);
}

function obey(order: WorkerOrder, handle: unknown): void {
  switch (order.type) {
    case "configure": {
      const keys = Buffer.from(order.ticketKeys, "base64");
      if (plane === null) plane = new DataPlane(order.configuration, keys, process.argv[2] ?? null, report);
      else plane.configure(order.configuration, keys);
      break;
    }
    case "certificates":
      plane?.changeCertificates(order.added, order.removed);
      break;
    case "challenges":
      plane?.setChallenges(new ShownChallenges(order.challenges));
      break;
    case "maintenance":
      plane?.setMaintenance(order.sites);
      break;
    case "limit":
      plane?.setLimit(order.upstream, order.limit);
      break;
    case "elsewhere":
      plane?.usedElsewhere(order.worker, order.usage);
      break;
    case "answered":
      plane?.wanted.answered(order.name, order.holds);
      break;
    case "purge":
      plane?.purge(order.site, order.pattern);
      break;
    case "counts":
      if (plane !== null) report({ type: "done", id: order.id, counts: plane.counts() });
      return;
    case "held":
      if (plane !== null) {
        const table = plane.certificates;
        const fingerprints = order.names.map((name) => table.fingerprint(name));
        report({ type: "done", id: order.id, fingerprints });
      }
      return;
    case "listen":
      sockets.listen(order.key, order.listener, handle).then(
        () => report({ type: "done", id: order.id }),
        (error: unknown) =>
          report({ type: "failed", id: order.id, code: systemErrorCode(error) ?? messageOf(error) }),
      );
      return;
    case "leave":
      sockets.leave(order.key);
      break;
    case "drain":
      sockets.close();
      plane?.drain(order.idle, () => leave(order.id));
      setTimeout(() => leave(order.id), order.timeout).unref();
      return;
  }
  report({ type: "done", id: order.id });
}

/** The supervisor divides what the apps can do by what each worker has to do. */
let lastLoads = "{}";
setInterval(() => {
  if (plane === null) return;
  const usage = plane.usage();
  if (usage !== null) report({ type: "usage", usage });
  const names = plane.usedNames.report();
  if (names !== null) report({ type: "used", names });
  const loads = plane.loads();
  const text = JSON.stringify(loads);
  if (text === lastLoads) return;
  lastLoads = text;
  report({ type: "loads", loads });
}, 100).unref();

function leave(id: number): void {
  const counts = plane?.counts();
  plane?.close();
  process.send?.(
    { type: "done", id, ...(counts === undefined ? {} : { counts }) } satisfies WorkerReport,
    () => {
      setTimeout(() => process.exit(0), 50);
    },
  );
}

process.on("message", (order: WorkerOrder, handle: unknown) => obey(order, handle));
process.on("disconnect", () => process.exit(0));
// The terminal's Ctrl-C reaches the whole group; the supervisor decides when a worker leaves.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => undefined);
process.on("SIGHUP", () => undefined);
report({ type: "started" });
