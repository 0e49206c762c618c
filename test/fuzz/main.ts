/** npm run fuzz -- TARGET COUNT [SEED] */
import { fuzz } from "./run.ts";
import { TARGETS } from "./targets.ts";

const [name = "", count = "", seed = "1"] = process.argv.slice(2);
const target = TARGETS[name];
if (target === undefined || !/^\d+$/.test(count) || !/^\d+$/.test(seed)) {
  console.error(`usage: npm run fuzz -- ${Object.keys(TARGETS).join("|")} COUNT [SEED]`);
  process.exit(2);
}
const began = performance.now();
const { inputs, taken } = fuzz(target, Number(seed), (done) => done >= Number(count));
const rate = Math.round(inputs / ((performance.now() - began) / 1000));
console.log(`${name}: ${inputs} inputs from seed ${seed}, ${taken} taken for valid, ${rate} a second`);
