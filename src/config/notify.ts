import { isAbsolute } from "node:path";
import type { NotifyConfiguration } from "./configuration.ts";
import type { AssemblyContext } from "./context.ts";
import { placeOf, type SectionValues } from "./section-values.ts";

/** Whether the program is there is not checked: a configuration is also checked on machines that send no mail. */
export function assembleNotify(section: SectionValues, context: AssemblyContext): NotifyConfiguration {
  const mail = section.one["mail"];
  return {
    webhook: section.values["webhook"] as string | null,
    mail: mail === undefined || !section.entries.has("mail") ? null : assembleMail(mail, context),
  };
}

function assembleMail(section: SectionValues, context: AssemblyContext): NotifyConfiguration["mail"] {
  const { problems } = context;
  const [program, ...rest] = section.values["command"] as readonly string[];
  const [first, ...others] = section.values["to"] as readonly string[];
  if (program === undefined)
    problems.add(
      placeOf(section, ["command"]),
      "command is empty; write for example [/usr/sbin/sendmail, -t, -i]",
    );
  else if (!isAbsolute(program))
    problems.add(
      placeOf(section, ["command", "0"]),
      `${JSON.stringify(program)} is no absolute path; no shell looks for the program`,
    );
  if (first === undefined) problems.add(placeOf(section, ["to"]), "mail has no recipient; give to");
  return {
    command: [program ?? "", ...rest],
    to: [first ?? "", ...others],
    from: section.values["from"] as string | null,
  };
}
