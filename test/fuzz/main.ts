/**
 * npm run fuzz -- TARGET COUNT [SEED]: the same inputs each time.
 * npm run fuzz -- TARGET 60s [SEED]: for so long, guided by coverage.
 */
import { Coverage } from "./coverage.ts";

const [name = "", amount = "", seed = "1"] = process.argv.slice(2);
const seconds = /^(\d+)s$/.exec(amount)?.[1];
// Before the parsers are compiled.
const coverage = seconds === undefined ? null : new Coverage();
const { TARGETS } = await import("./targets.ts");
const { fuzz } = await import("./run.ts");
const { fuzzGuided } = await import("./guided.ts");

const target = TARGETS[name];
if (target === undefined || (seconds === undefined && !/^\d+$/.test(amount)) || !/^\d+$/.test(seed)) {
  console.error(`usage: npm run fuzz -- ${Object.keys(TARGETS).join("|")} COUNT|SECONDSs [SEED]`);
  process.exit(2);
}
const began = performance.now();
const perSecond = (inputs: number): number => Math.round(inputs / ((performance.now() - began) / 1000));
if (coverage === null) {
  const { inputs, taken } = fuzz(target, Number(seed), (done) => done >= Number(amount));
  console.log(
    `${name}: ${inputs} inputs from seed ${seed}, ${taken} taken for valid, ${perSecond(inputs)} a second`,
  );
} else {
  const end = began + Number(seconds) * 1000;
  const { inputs, taken, kept, combinations } = fuzzGuided(
    target,
    Number(seed),
    coverage,
    () => performance.now() >= end,
  );
  console.log(
    `${name}: ${inputs} inputs from seed ${seed}, ${taken} taken for valid, ${perSecond(inputs)} a second, ` +
      `${combinations} ways through the code, ${kept} inputs kept`,
  );
}
