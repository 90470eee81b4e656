// Builds the dashboard into src/swarmkeeper/web/, or into the folder that is given: readable text, no minifying of what
// is ours, so that a review sees what is served. `make web` runs it.
import { build } from "esbuild";
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "../src/swarmkeeper/web");
const common = {
  bundle: true, charset: "utf8", logLevel: "warning", minify: false, legalComments: "none", absWorkingDir: here,
  format: "esm", target: ["es2022"], jsxSideEffects: true, // without a note at each element
  tsconfigRaw: { compilerOptions: { jsx: "react", jsxFactory: "el", jsxFragmentFactory: "Fragment" } }, // el("p", null, "text"): short, and as it was written
  preserveSymlinks: true, // the folder of the packages may be a link: no file names where it leads
};
const source = join(here, "src");
const text = (file) => readFile(join(source, file), "utf8");
const named = (text, pattern) => [...text.matchAll(pattern)].map((found) => found[1]);

// What a module names in `import()` is a file of its own, which is loaded when it is first shown.
const modules = (await readdir(source, { recursive: true })).filter((name) => /\.tsx?$/.test(name));
const later = new Set();
for (const module of modules) {
  for (const path of named(await text(module), /import\("(\.[^"]+\.tsx)"\)/g)) later.add(join(source, dirname(module), path));
}
// What a module of src/files lists is in the file of its name alone: all others take it from there.
const home = new Map();
for (const module of await readdir(join(source, "files"))) {
  const file = `./${basename(module, ".ts")}.js`;
  for (const path of named(await text(join("files", module)), /from "([^"]+)"/g)) home.set(path.startsWith(".") ? join(source, "files", path) : path, file);
}
const elsewhere = (own) => ({
  name: "what other files have",
  setup(builder) {
    builder.onResolve({ filter: /^(\.|preact|@preact)/ }, ({ path, resolveDir, kind }) => {
      const whole = path.startsWith(".") ? join(resolveDir, path) : path;
      if (kind === "dynamic-import") return { path: `./${basename(path, ".tsx")}.js`, external: true };
      const there = home.get(whole);
      return there && there !== own ? { path: there, external: true } : undefined;
    });
    builder.onLoad({ filter: /\.tsx$/ }, async ({ path }) => ({ contents: `import { Fragment, el } from "preact"; ${await readFile(path, "utf8")}`, loader: "tsx" }));
  },
});

/**
 * Make one import of each file of the many: esbuild keeps those of each source file, the second one of a name as `name2`.
 * What is imported under its own name is declared nowhere else in the file, so that all that mean it can have that name.
 */
function imported(text) {
  const files = new Map(), same = new Map();
  const rest = text.replace(/^import \{([^}]*)\} from "(\.\/\w+\.js)";\n/gm, (_, list, file) => {
    const names = files.get(file) ?? new Map();
    files.set(file, names);
    for (const each of list.split(",").map((part) => part.trim()).filter(Boolean)) {
      const [name, local = name] = each.split(" as ");
      names.set(local, name);
    }
    return "";
  });
  const lines = [...files].map(([file, names]) => {
    const free = (name) => names.get(name) === name || !new RegExp(`(?<![\\w$])${name}(?![\\w$])`).test(rest);
    for (const [local, name] of names) if (local.startsWith(name) && /^\d+$/.test(local.slice(name.length)) && free(name)) same.set(local, name);
    const list = new Set([...names].map(([local, name]) => (local === name || same.get(local) === name ? name : `${name} as ${local}`)));
    return `import { ${[...list].join(", ")} } from "${file}";\n`;
  });
  // No text that a page shows may be taken for a name.
  for (const local of same.keys()) if (new RegExp(`["'\`]${local}["'\`]`).test(rest)) throw new Error(`the name ${local} is also a text`);
  return lines.join("") + rest.replace(/(?<![.\w$])[\w$]+/g, (word) => same.get(word) ?? word);
}

/** Break long lines between elements, so that a review sees what has changed. */
const readable = (text) => text.replace(/^( *).{160,}$/gm, (line, indent) => line.replaceAll(", el(", `,\n${indent}el(`));

async function make(entry, file) {
  const { outputFiles: [made] } = await build({ ...common, entryPoints: [entry], write: false, plugins: [elsewhere(`./${file}`)], minify: file === "runtime.js" });
  await writeFile(join(out, file), file === "runtime.js" ? made.text : readable(imported(made.text)));
}

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await make("src/main.tsx", "app.js");
for (const file of new Set(home.values())) if (file !== "./app.js") await make(`src/files/${basename(file, ".js")}.ts`, basename(file));
for (const module of later) await make(module, `${basename(module, ".tsx")}.js`);
for (const worker of ["worker", "tree"]) await build({ ...common, entryPoints: [`src/${worker}.ts`], outfile: join(out, `${worker}.js`) });
// One file of all styles, as they are written: a rule is a line.
const style = await text("style/app.css");
const parts = await Promise.all(named(style, /@import "([^"]+)";\n/g).map((path) => text(join("style", path))));
await writeFile(join(out, "app.css"), [...parts, style.replace(/@import [^\n]*\n/g, "")].join("").replace(/\/\*[^]*?\*\/\n*/g, ""));
for (const file of ["index.html", "icon.svg"]) await copyFile(join(here, "src", file), join(out, file));
const licences = [];
for (const each of ["preact", "@preact/signals", "@preact/signals-core"]) {
  licences.push(`${each}\n\n${(await readFile(join(here, "node_modules", each, "LICENSE"), "utf8")).trim()}\n`);
}
await writeFile(join(out, "licences.txt"), licences.join("\n\n"));
