import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { connect } from "node:net";
import { dirname } from "node:path";
import { messageOf, PaddockError, systemErrorCode } from "../errors.ts";

/** What the command line may ask; what it says with it, undefined or JSON, is not checked yet. Answers go as JSON. */
export type ControlCommands = Readonly<Record<string, (order: unknown) => Promise<unknown>>>;

/** Bytes of an order. */
const LARGEST_ORDER = 64 * 1024;

/**
 * The control socket: HTTP over a Unix socket of mode 0600, POST /COMMAND. A socket file that a killed daemon
 * left behind is replaced; one that somebody answers on is not.
 */
export async function openControlSocket(path: string, commands: ControlCommands): Promise<Server> {
  if (await answers(path)) {
    throw new PaddockError("ERR_CONTROL_SOCKET", `another Paddock runs and has ${path}`, {
      fix: "stop it, or give this one another admin.socket",
    });
  }
  const server = createServer((request, response) => {
    const name = (request.url ?? "").slice(1);
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
    const send = (status: number, body: unknown): void => {
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(JSON.stringify(body));
    };
    if (request.method !== "POST" || command === undefined) {
      send(404, { error: "no such command" });
      return;
    }
    readOrder(request)
      .then(command)
      .then(
        (value) => send(200, value ?? {}),
        (error: unknown) =>
          send(422, {
            error: messageOf(error),
            ...(error instanceof PaddockError && error.fix !== undefined ? { fix: error.fix } : {}),
          }),
      );
  });
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    rmSync(path, { force: true });
    const before = process.umask(0o177);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, () => resolve());
      process.umask(before);
    });
    chmodSync(path, 0o600);
  } catch (error) {
    throw new PaddockError(
      "ERR_CONTROL_SOCKET",
      `cannot make the control socket ${path}: ${systemErrorCode(error) ?? messageOf(error)}`,
      {
        fix: "give admin.socket a path in a folder that this user may write to",
        cause: error,
      },
    );
  }
  return server;
}

async function readOrder(request: IncomingMessage): Promise<unknown> {
  let text = "";
  request.setEncoding("utf8");
  for await (const part of request) {
    text += String(part);
    if (text.length > LARGEST_ORDER) throw new RangeError("the order is too long");
  }
  return text === "" ? undefined : JSON.parse(text);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
