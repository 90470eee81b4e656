// Builds the dashboard into src/swarmkeeper/web/, or into the folder that is given: readable text, no minifying,
// so that a review sees what is served. `make web` runs it.
import { build } from "esbuild";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "../src/swarmkeeper/web");
const common = {
  preserveSymlinks: true, // what is built is the same where node_modules is a link
  bundle: true, charset: "utf8", logLevel: "warning", minify: false, legalComments: "none", absWorkingDir: here,
  preserveSymlinks: true, format: "esm", target: ["es2022"], jsx: "automatic", jsxImportSource: "preact",
};
const source = join(here, "src");
const names = async (file, pattern) => [...(await readFile(join(source, file), "utf8")).matchAll(pattern)].map((found) => found[1]);

// A page that main.tsx names in `import()` is a file of its own, which is loaded when the page is opened. What shared.ts
// lists is in app.js alone: a page takes it from there.
const pages = await names("main.tsx", /import\("\.\/pages\/(\w+)\.tsx"\)/g);
const shared = new Set((await names("shared.ts", /from "([^"]+)"/g)).map((path) => (path.startsWith(".") ? join(source, path) : path)));
const loadedLater = {
  name: "loaded later",
  setup(builder) {
    builder.onResolve({ filter: /^\.\/pages\/\w+\.tsx$/ }, ({ path, kind }) => (kind === "dynamic-import" ? { path: `./${basename(path, ".tsx")}.js`, external: true } : undefined));
  },
};
const takenFromApp = {
  name: "taken from app.js",
  setup(builder) {
    builder.onResolve({ filter: /^(\.|preact|@preact)/ }, ({ path, resolveDir }) => (shared.has(path.startsWith(".") ? join(resolveDir, path) : path) ? { path: "./app.js", external: true } : undefined));
  },
};

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await build({ ...common, entryPoints: ["src/main.tsx"], outfile: join(out, "app.js"), plugins: [loadedLater] });
for (const page of pages) {
  await build({ ...common, entryPoints: [`src/pages/${page}.tsx`], outfile: join(out, `${page}.js`), plugins: [takenFromApp] });
}
await build({ ...common, entryPoints: ["src/worker.ts"], outfile: join(out, "worker.js") });
await build({ bundle: true, logLevel: "warning", absWorkingDir: here, entryPoints: ["src/style/app.css"], outfile: join(out, "app.css") });
for (const file of ["index.html", "icon.svg"]) await copyFile(join(here, "src", file), join(out, file));
const licences = [];
for (const each of ["preact", "@preact/signals", "@preact/signals-core"]) {
  licences.push(`${each}\n\n${(await readFile(join(here, "node_modules", each, "LICENSE"), "utf8")).trim()}\n`);
}
await writeFile(join(out, "licences.txt"), licences.join("\n\n"));
