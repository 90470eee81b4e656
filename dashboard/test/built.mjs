// Imports a module of the dashboard's source, which is TypeScript.
import { build } from "esbuild";
import { fileURLToPath } from "node:url";

export async function built(path) {
  const entry = fileURLToPath(new URL(`../src/${path}`, import.meta.url));
  const result = await build({ entryPoints: [entry], bundle: true, format: "esm", write: false, logLevel: "error", jsx: "automatic", jsxImportSource: "preact" });
  return import(`data:text/javascript;base64,${Buffer.from(result.outputFiles[0].contents).toString("base64")}`);
}
