// Builds the dashboard into src/swarmkeeper/web/, or into the folder that is given: readable text, no minifying,
// so that a review sees what is served. `make web` runs it.
import { build } from "esbuild";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "../src/swarmkeeper/web");
const common = { bundle: true, charset: "utf8", logLevel: "warning", minify: false, legalComments: "none", absWorkingDir: here };

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await build({
  ...common,
  entryPoints: ["src/main.tsx"],
  outfile: join(out, "app.js"),
  format: "esm",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
});
await build({ ...common, entryPoints: ["src/style/app.css"], outfile: join(out, "app.css") });
for (const name of ["index.html", "icon.svg"]) await copyFile(join(here, "src", name), join(out, name));
const parts = [];
for (const name of ["preact", "@preact/signals", "@preact/signals-core"]) {
  parts.push(`${name}\n\n${(await readFile(join(here, "node_modules", name, "LICENSE"), "utf8")).trim()}\n`);
}
await writeFile(join(out, "licences.txt"), parts.join("\n\n"));
