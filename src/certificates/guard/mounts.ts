/** One line of /proc/self/mountinfo (proc_pid_mountinfo(5)), as far as it says whether a folder lasts. */
export interface Mount {
  /** The folder of its file system that is mounted: tells a bind mount, as volumes are, where it comes from. */
  readonly root: string;
  readonly point: string;
  /** `ext4`, `overlay`, `tmpfs`, … */
  readonly type: string;
}

/**
 * The mount that a path is on: the deepest mount point above it, and of several at one point the last, which hides the
 * others. Null where the text has none.
 *
 * @param path absolute, symbolic links resolved
 */
export function mountOf(path: string, mountinfo: string): Mount | null {
  let found: Mount | null = null;
  for (const line of mountinfo.split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    const [root, point] = before.split(" ").slice(3, 5).map(unescape);
    const [type] = after.split(" ");
    if (root === undefined || point === undefined || type === undefined) continue;
    const above = point === "/" || path === point || path.startsWith(`${point}/`);
    if (above && point.length >= (found?.point.length ?? 0)) found = { root, point, type };
  }
  return found;
}

/** Space, tab, line feed and backslash are written as octal numbers. */
function unescape(field: string): string {
  return field.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}

const IN_MEMORY = ["tmpfs", "ramfs"];

/** Docker and Podman name a volume that nobody has named by 64 hexadecimal digits; the next container gets another. */
const UNNAMED_VOLUME = /\/volumes\/[0-9a-f]{64}\/_data(?:\/|$)/;
/** Kubernetes; it goes with the pod. */
const EMPTY_DIR = /\/volumes\/kubernetes\.io~empty-dir\//;

/** Why what is written there goes with the container or the machine's next start, as a clause; null where it does not. */
export function whyNotKept({ root, type }: Mount, inContainer: boolean): string | null {
  if (EMPTY_DIR.test(`${root}/`)) return "is an emptyDir, which goes with the pod";
  if (IN_MEMORY.includes(type)) return `is on ${type}, in memory`;
  // An overlay is what live systems and routers have as well, and some of those keep it.
  if (inContainer && type === "overlay")
    return "is in the container's own layer, which goes with the container";
  if (inContainer && UNNAMED_VOLUME.test(root))
    return "is on a volume without a name, and the next container gets another";
  return null;
}
