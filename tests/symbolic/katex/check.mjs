// Reads a JSON list of {where, latex} from standard input and reports every formula that KaTeX cannot parse. Exit status 1 if any.
// katex is looked up in the directory named by the first argument (it holds node_modules), else beside this file.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const require = createRequire(join(resolve(process.argv[2] ?? "."), "package.json"));
const katex = require("katex");
const formulas = JSON.parse(readFileSync(0, "utf8"));
let failures = 0;
for (const { where, latex } of formulas) {
  try {
    katex.renderToString(latex, { displayMode: true, throwOnError: true, strict: "error" });
  } catch (error) {
    failures += 1;
    console.log(`${where}: ${error.message}\n    ${latex}`);
  }
}
console.log(`${formulas.length} formulas, ${failures} failures`);
process.exit(failures ? 1 : 0);
