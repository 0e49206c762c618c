import { homedir } from "node:os";
import { join } from "node:path";
import { loadConfiguration } from "../config/load.ts";
import type { Command } from "./command.ts";
import { runDaemon } from "./daemon.ts";
import { readArguments, UsageError } from "./usage.ts";

const usage = "dev UPSTREAM [--static /static/=DIR] [--port N]";

export const devCommand: Command = {
  usage,
  summary: "local https in front of a development server, by the embedded CA",
  async run(args) {
    const { values, positionals } = readArguments(
      args,
      usage,
      { static: { type: "string" }, port: { type: "string" } },
      1,
    );
    const [upstream] = positionals;
    if (upstream === undefined) throw new UsageError("no upstream is given", usage);
    const port = values.port ?? "8443";
    if (!/^[0-9]{1,5}$/.test(port)) throw new UsageError(`"${port}" is not a port`, usage);
    const storage = process.env.XDG_DATA_HOME ?? join(homedir(), ".local/share");
    const environment: NodeJS.ProcessEnv = {
      PADDOCK_NAMES: "localhost,127.0.0.1",
      PADDOCK_UPSTREAM:
        upstream.includes(":") && !/^(?:unix|http):/.test(upstream) ? `http://${upstream}` : upstream,
      PADDOCK_ISSUER: "local",
      PADDOCK_STORAGE: join(storage, "paddock"),
      PADDOCK_LISTEN_HTTP: "",
      PADDOCK_LISTEN_HTTPS: `127.0.0.1:${port}`,
      PADDOCK_ADMIN_LISTEN: "127.0.0.1:0",
      PADDOCK_ADMIN_SOCKET: join(storage, "paddock", `dev-${port}.sock`),
      PADDOCK_WORKERS: "1",
      PADDOCK_LOG_FORMAT: "pretty",
      PADDOCK_CONFIG: "",
      ...(values.static === undefined ? {} : { PADDOCK_STATIC: values.static }),
    };
    const load = (): ReturnType<typeof loadConfiguration> =>
      loadConfiguration({ environment, workingDirectory: "/" });
    return await runDaemon(load, (supervisor) => {
      process.stderr.write(
        `https://localhost:${port}/\n  curl --cacert ${supervisor.rootCertificatePath} https://localhost:${port}/\n  paddock trust --root ${supervisor.rootCertificatePath}   # for browsers, once\n`,
      );
    });
  },
};
